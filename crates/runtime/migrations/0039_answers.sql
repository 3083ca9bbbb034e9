-- Answers are forgotten tenant by tenant, in the order of their age.
create index idempotency_tenant on idempotency (tenant_id, at);
drop index idempotency_age;
