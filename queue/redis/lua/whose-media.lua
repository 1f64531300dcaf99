#!lua flags=no-writes
-- Says by what a blob that has ended counts.
-- USES: clock, media
-- KEYS: 1 the blob
-- ARGV: 1 now or 0
-- RETURNS: account and reservation, nothing for each that is not there; or here where the blob has not ended
if not has_ended(KEYS[1], clock(ARGV[1])) then return 'here' end
return redis.call('HMGET', KEYS[1], 'a', 'r')
