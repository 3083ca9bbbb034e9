//! The messaging gateway: accept, route, dispatch, receipt, inbound
