"""
The dialects of the protocol, each an object.

* :mod:`.base` is what a dialect has to answer; :mod:`.ga` and :mod:`.preview` answer it; :mod:`.choose`
  finds one by name;
* :mod:`.names` are the names of events and commands;
* :mod:`.fields` are the rules of requests that dialects share, made of the :mod:`.rules`.
"""
