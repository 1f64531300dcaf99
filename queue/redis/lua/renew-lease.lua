#!lua flags=allow-oom
-- A node's sign of life. A lease that ran out or was ended stays on record as lost, long enough that nobody can still
-- believe in it; a node that has held it before and finds no record has lost it too.
-- USES: clock
-- KEYS: leases
-- ARGV: now, node, address, ttl in ms, 1 if the node has held it before, ms that a lost lease stays on record
-- RETURNS: 1 held, 0 lost
local now, node = clock(ARGV[1]), ARGV[2]
local raw = redis.call('HGET', KEYS[1], node)
if raw and struct.unpack('>I8', raw) <= now or not raw and ARGV[5] == '1' then return 0 end
if not raw then
  local leases = redis.call('HGETALL', KEYS[1])
  for i = 1, #leases, 2 do
    if struct.unpack('>I8', leases[i + 1]) + ARGV[6] <= now then redis.call('HDEL', KEYS[1], leases[i]) end
  end
end
redis.call('HSET', KEYS[1], node, struct.pack('>I8', now + ARGV[4]) .. ARGV[3])
return 1
