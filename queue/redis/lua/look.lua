#!lua flags=allow-oom
-- Who owns mailboxes and how many entries wait in them; what has expired does not wait and is removed.
-- USES: clock, record, counters, mailbox
-- KEYS: counters, then owner record and mailbox of each item
-- ARGV: now
-- RETURNS: for each item n (no device), or l, entries I4 and the owner
local now, out = clock(ARGV[1]), {}
for i = 1, (#KEYS - 1) / 2 do
  local owner, mailbox = KEYS[2 * i], KEYS[2 * i + 1]
  local r = recall(owner)
  if not r then
    out[i] = 'n'
  else
    local due = r.due
    prune(mailbox, r, now)
    if r.due ~= due then note(owner, r) end
    out[i] = 'l' .. struct.pack('>I4', r.count) .. owner_of(r)
  end
end
count_up(KEYS[1], now)
return out
