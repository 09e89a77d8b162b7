"""No descriptors left: nothing ends, the management API answers, and afterwards everything is as before."""

import os
import resource
import socket

from lab.waiting import until

from .test_admin import Managed, managed


class Descriptors(Managed):
    def test_the_api_answers_when_there_are_none_left(self):
        self.start(94, managed)
        pid = self.managed.daemon.pid

        def used():
            return len(os.listdir(f"/proc/{pid}/fd"))
        session = self.log_in()
        limit = used() + 20
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
        endpoint, crowd = self.managed.endpoint(), []

        def leave():
            while crowd:
                crowd.pop().close()
        self.addCleanup(leave)
        for _ in range(60):
            crowd.append(socket.create_connection((endpoint.host, endpoint.port), 5))
        until(lambda: "cannot accept connections" in self.managed.log(), "it never ran out of descriptors")
        until(lambda: used() == limit, lambda: f"{used()} of {limit} are in use")
        for _ in range(10):
            self.assertEqual(self.call("GET", "/stats")[0], 200)
        kicked = self.call("POST", "/connections/kick?identifier=alice@example.org")
        self.assertEqual((kicked[0], kicked[1]["kicked"]), (200, 1))
        self.assertIn("BYE", session.line())
        leave()
        until(lambda: used() < limit - 10, "descriptors are not given back")
        self.assert_at_prompt(self.dial(proxy=self.managed))
