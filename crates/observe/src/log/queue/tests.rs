use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::*;

const LIMIT: Duration = Duration::from_secs(60);

/// Standard error as a pipe: a write waits until the test permits it, and ends as the test says.
struct Pipe {
    permits: Receiver<io::Result<()>>,
    written: Sender<Vec<u8>>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // At the end of the test nobody sends permits; then the writer waits for lines that do not come.
        if let Ok(permit) = self.permits.recv() {
            permit?;
            self.written.send(bytes.to_vec()).unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A queue with its writer. A report is a line of the log, as in the running program.
fn start() -> (LogQueue, Sender<io::Result<()>>, Receiver<Vec<u8>>) {
    let queue = LogQueue::new();
    let (permit, permits) = channel();
    let (written, lines) = channel();
    let writer = queue.clone();
    thread::spawn(move || {
        let reports = writer.clone();
        writer.write_to(Pipe { permits, written }, |dropped| {
            reports.add(format!("dropped {dropped}\n").as_bytes());
        });
    });
    (queue, permit, lines)
}

fn wait_until_writing(queue: &LogQueue) {
    let deadline = Instant::now() + LIMIT;
    while !queue.lock().is_writing {
        assert!(Instant::now() < deadline, "the writer took no line");
        thread::yield_now();
    }
}

#[test]
fn a_reader_that_stops_costs_lines_and_not_time() {
    let (queue, permit, lines) = start();
    queue.add(b"first\n");
    wait_until_writing(&queue);
    // The writer is in a write that does not end. Whoever logs goes on, and memory stays bounded.
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    for _ in 0..5000 {
        queue.add(&line);
    }
    assert_eq!(queue.lock().pending.len(), CAPACITY);
    assert!(queue.lock().pending.capacity() <= 2 * CAPACITY);
    assert_eq!(queue.dropped(), 5000 - 1024);
    assert!(!queue.flush(Duration::from_millis(1)), "a flush ends at its deadline");
    // The reader goes on: nothing that was queued is lost, and the gap is reported where it is.
    for _ in 0..3 {
        permit.send(Ok(())).unwrap();
    }
    assert_eq!(lines.recv_timeout(LIMIT).unwrap(), b"first\n");
    assert_eq!(lines.recv_timeout(LIMIT).unwrap().len(), CAPACITY);
    assert_eq!(lines.recv_timeout(LIMIT).unwrap(), b"dropped 3976\n");
    assert!(queue.flush(LIMIT));
    assert_eq!(queue.dropped(), 3976, "counted once");
}

#[test]
fn a_write_that_fails_is_counted_and_reported_when_one_succeeds() {
    let (queue, permit, lines) = start();
    for _ in 0..3 {
        permit.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        queue.add(b"lost\nlost\n");
        assert!(queue.flush(LIMIT), "a failed write ends too");
    }
    assert_eq!(queue.dropped(), 6);
    permit.send(Ok(())).unwrap();
    permit.send(Ok(())).unwrap();
    queue.add(b"kept\n");
    assert_eq!(lines.recv_timeout(LIMIT).unwrap(), b"kept\n");
    assert_eq!(lines.recv_timeout(LIMIT).unwrap(), b"dropped 6\n");
}

#[test]
fn a_line_longer_than_the_queue_is_dropped() {
    let queue = LogQueue::new();
    queue.add(&vec![b'x'; CAPACITY + 1]);
    queue.add(&vec![b'x'; CAPACITY]);
    queue.add(b"\n");
    assert_eq!(queue.dropped(), 2);
}
