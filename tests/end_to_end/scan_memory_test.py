"""`scan` of standard input needs the memory that it needs, however long the log is."""

import json
import shutil
import subprocess

import harness

MEGABYTE = 1 << 20
FILTERS = {"plain": [], "gzip": ["gzip", "-1"]}
SIZES = (50 * MEGABYTE, 500 * MEGABYTE)


class ScanMemoryTest(harness.EndToEndTest):
    def scan_made_up_log(self, size, compress):
        """Returns most memory that the scan had when it had read everything, its report, and the truth."""
        truth = self.dir / "truth.json"
        log = subprocess.Popen([harness.mail_log_binary(), "--bytes", str(size), "--start", "1793577600", "--truth", truth],
                               stdout=subprocess.PIPE)
        source = log
        if compress:
            source = subprocess.Popen(compress, stdin=log.stdout, stdout=subprocess.PIPE)
            log.stdout.close()
        scan = subprocess.Popen([harness.agent_binary(), "scan", "--format", "json", "--peer-class", "all", "-"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for process in (log, source, scan):
            self.addCleanup(process.kill)
        with scan.stdin as sink:
            shutil.copyfileobj(source.stdout, sink, MEGABYTE)
            sink.flush()
            # It waits for more.
            peak = harness.peak_memory(scan)
        report = json.loads(scan.stdout.read())
        self.assertEqual([process.wait() for process in (log, source, scan)], [0, 0, 0])
        for process in (log, source, scan):
            process.stdout.close()
        return peak, report, json.loads(truth.read_text())

    def test_ten_times_the_log_needs_no_more(self):
        harness.forget_freed_memory()
        for name, compress in FILTERS.items():
            with self.subTest(input=name):
                peaks = []
                for size in SIZES:
                    peak, report, truth = self.scan_made_up_log(size, compress)
                    self.assertEqual(report["lines"]["read"], truth["lines"])
                    self.assertEqual(report["inbound"]["sessions"], truth["sessions"] + truth["excluded_sessions"])
                    self.assertEqual(report["inbound"]["tls_sessions"], truth["tls_sessions"])
                    peaks.append(peak)
                print(f"{name}: peak of {[peak // 1024 for peak in peaks]} kB", flush=True)
                # Tables fill up; eight bytes a session would be more.
                self.assertLess(peaks[1], peaks[0] * 1.15)


if __name__ == "__main__":
    harness.main()
