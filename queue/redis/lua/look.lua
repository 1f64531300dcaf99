#!lua flags=allow-oom
-- Who owns mailboxes and how many entries wait in them; what has expired does not wait and is removed.
-- USES: clock, record, counters, mailbox, payload, leaving, prune
-- KEYS: counters, then owner record and mailbox of each item
-- ARGV: now
-- RETURNS: for each item n (no device), or l, entries I4 and the owner
local now = clock(ARGV[1])

return for_each_record(KEYS, 2, 2, function(r, key, mailbox)
  if not r then return 'n' end
  local due = r.due
  prune(mailbox, r, now)
  if r.due ~= due then note(key) end
  return 'l' .. struct.pack('>I4', r.count) .. owner_of(r)
end, function() settle(KEYS[1], now) end)
