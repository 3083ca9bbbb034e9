-- Old entries of all users of a tenant, in the order of time, for retention.
create index security_entry_tenant on security_entry (tenant_id, id);
