-- Old PDUs of a tenant, in the order of time, for retention.
create index pdu_tenant on pdu (tenant_id, id);
