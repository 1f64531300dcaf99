#!lua flags=no-writes
-- The nodes that are alive.
-- USES: clock
-- KEYS: leases
-- ARGV: now
-- RETURNS: node and address of each
local now, out = clock(ARGV[1]), {}
local leases = redis.call('HGETALL', KEYS[1])
for i = 1, #leases, 2 do
  local till, at = struct.unpack('>I8', leases[i + 1])
  if till > now then
    out[#out + 1] = leases[i]
    out[#out + 1] = string.sub(leases[i + 1], at)
  end
end
return out
