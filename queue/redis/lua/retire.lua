#!lua flags=allow-oom
-- Removes a device's mailbox for good: a tombstone stands in place of its record.
-- USES: clock, record, counters, mailbox, payload, clearing
-- KEYS: counters, owner record, mailbox
-- ARGV: now
-- RETURNS: the owner that there was, or nothing
local r = record_in(redis.call('GET', KEYS[2]))
if not r then return '' end
local had = clear(KEYS[3])
redis.call('SET', KEYS[2], TOMBSTONE)
if had == 1 then
  added.mailboxes, added.envelopes, added.bytes, added.removed = -1, -r.count, -r.bytes, true
end
settle(KEYS[1], clock(ARGV[1]))
return owner_of(r)
