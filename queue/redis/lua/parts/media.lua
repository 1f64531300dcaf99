-- The record of a blob, a hash under `l{HH}M` and its id: `a` account, none once it has left; `r` the reservation that it counts
-- by; `b` bytes, `k` mark of the upload key, `x` expires; `d` when it ends by itself, 0 once it has ended; `f` 1 where it is
-- ready, `c` 1 where its list is closed; `n` tokens, `w` those that are not struck, and each token's mark: 1 where it is struck.
local function has_ended(record, now)
  return tonumber(redis.call('HGET', record, 'd') or 0) <= now
end

-- Why whoever has this upload key may not go on; nil where they may.
local function refusal(record, now, key)
  if has_ended(record, now) then return 'gone' end
  if redis.call('HGET', record, 'k') ~= key then return 'not-permitted' end
end

-- `all` is of its shard: blobs by when they end.
local function end_blob(record, all)
  redis.call('HSET', record, 'd', 0)
  redis.call('ZADD', all, 0, string.sub(record, 7))
end

-- Strikes a token that is there; true where it was not struck before.
local function strike(record, mark)
  if redis.call('HGET', record, mark) ~= '' then return false end
  redis.call('HSET', record, mark, 1)
  redis.call('HINCRBY', record, 'w', -1)
  return true
end

-- Ends a blob whose list is closed and all struck; true where it has ended.
local function end_if_struck(record, all)
  local known = redis.call('HMGET', record, 'c', 'w')
  if known[1] ~= '1' or known[2] ~= '0' then return false end
  end_blob(record, all)
  return true
end
