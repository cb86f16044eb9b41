//! Requests of the generator, seen from the server that does nothing.

use super::*;
use crate::bench::options::tests::options;
use crate::bench::request::{Demand, Requests};

#[test]
fn a_request_is_as_long_as_its_head_says() {
    let plan = options("--workload put").plan().expect("a plan");
    let mut request = Vec::new();
    Requests::new(&plan, 1).put(&mut request, 1, 1, Demand::Nothing, 0);
    assert_eq!(request_bytes(&request), Some(request.len()));
    let head = request.len() - 1000;
    assert_eq!(request_bytes(&request[..head]), Some(request.len()), "the body is still on its way");
    assert_eq!(request_bytes(&request[..50]), None);
}
