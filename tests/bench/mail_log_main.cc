// Writes a made-up mail log to standard output, and what is in it to a file.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "tests/bench/mail_log.h"

namespace {

std::string Json(const mxtally::bench::Truth& truth) {
  std::string ciphers;
  for (const auto& [name, sessions] : truth.by_cipher) {
    absl::StrAppend(&ciphers, ciphers.empty() ? "" : ",", "\"", name, "\":", sessions);
  }
  return absl::StrCat(
      "{\"lines\":", truth.lines, ",\"sessions\":", truth.sessions,
      ",\"tls_sessions\":", truth.tls_sessions, ",\"failed_handshakes\":", truth.failed_handshakes,
      ",\"excluded_sessions\":", truth.excluded_sessions, ",\"by_cipher\":{", ciphers, "}}\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Writes a made-up mail log to standard output");
  mxtally::bench::MailLogOptions options;
  int64_t bytes = INT64_MAX;
  int64_t sessions = INT64_MAX;
  int64_t start = 1793505600;  // 2026-11-01.
  std::string truth_path;
  auto* size = app.add_option_group("size")->require_option(1);
  size->add_option("--bytes", bytes, "Size of the log, about");
  size->add_option("--sessions", sessions, "Sessions that are not the monitor's");
  app.add_option("--seed", options.seed);
  app.add_option("--start", start, "First stamp, seconds since 1970");
  app.add_option("--lines-per-second", options.lines_per_second, "Of log time");
  app.add_flag("--rfc3339", options.rfc3339);
  app.add_option("--truth", truth_path, "Where to write what a right count gives, as JSON");
  CLI11_PARSE(app, argc, argv);

  options.start = absl::FromUnixSeconds(start);
  mxtally::bench::MailLog log(options);
  std::string out;
  int64_t written = 0;
  const auto flush = [&out, &written] {
    written += static_cast<int64_t>(out.size());
    const bool ok = std::fwrite(out.data(), 1, out.size(), stdout) == out.size();
    out.clear();
    return ok;
  };
  while (written + static_cast<int64_t>(out.size()) < bytes && log.truth().sessions < sessions) {
    log.AppendLine(out);
    if (out.size() > (1 << 20) && !flush()) return 1;
  }
  log.Drain(out);
  if (!flush() || std::fflush(stdout) != 0) return 1;
  if (!truth_path.empty()) std::ofstream(truth_path) << Json(log.truth());
  return 0;
}
