//! Routes in the console.
