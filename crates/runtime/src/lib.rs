//! Configuration, clock, tasks, jobs, events, outbound HTTP, secrets, logs, metrics
