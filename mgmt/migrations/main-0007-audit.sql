-- Reports ask for a span of time.
CREATE INDEX audit_by_time ON audit (time_us, seq);
