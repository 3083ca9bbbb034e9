//! HTTP: who asks, problems, paging, idempotency, the console's layout and components
