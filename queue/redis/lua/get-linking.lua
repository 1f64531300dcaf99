#!lua
-- Reads a slot of a linking mailbox.
-- USES: clock
-- KEYS: 1 the mailbox, 2 all of them, which is not read
-- ARGV: 1 now or 0, 2 slot
-- RETURNS: a list with the message; or none, ended or empty
local known = redis.call('HMGET', KEYS[1], 'until', 'ended', ARGV[2])
if not known[1] or tonumber(known[1]) <= clock(ARGV[1]) then return 'none' end
if known[2] then return 'ended' end
if known[3] then return {known[3]} end
return 'empty'
