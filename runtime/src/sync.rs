//! What the tasks of one core wait on. Nothing here is `Send`; nothing here knows the time but `timeout`.
