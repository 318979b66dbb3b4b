// mxtally-agent: follows mail logs and sends their sessions to the server.

#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "agent/cli/options.h"
#include "agent/cli/run_command.h"
#include "agent/cli/status_command.h"
#include "agent/scan/scan.h"
#include "proto/service_manager/sighup.h"

namespace {

// Whether the program was started with the standard descriptor `fd`; it is closed on exec if a
// library opened it before main().  A closed one must not become that of the next file that is
// opened: it is held.
bool HoldStandardDescriptor(int fd) {
  const int flags = ::fcntl(fd, F_GETFD);
  if (flags < 0) ::open("/dev/null", O_RDWR | O_CLOEXEC);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool has_input = HoldStandardDescriptor(STDIN_FILENO);
  if (!HoldStandardDescriptor(STDOUT_FILENO)) std::cout.setstate(std::ios_base::badbit);
  if (!HoldStandardDescriptor(STDERR_FILENO)) std::cerr.setstate(std::ios_base::badbit);
  mxtally::HoldSighup();
  const std::vector<std::string> words(argv + 1, argv + argc);
  mxtally::CommandLine command = mxtally::ParseCommandLine(words, environ, std::cout, std::cerr);
  if (const auto* run = std::get_if<mxtally::RunOptions>(&command)) {
    return mxtally::Run(*run, words, environ);
  }
  mxtally::ReleaseSighup();
  if (auto* scan = std::get_if<mxtally::ScanOptions>(&command)) {
    if (!has_input) scan->standard_input = -1;
    scan->show_progress = isatty(STDERR_FILENO) != 0;
    return mxtally::RunScan(*scan, std::cout, std::cerr);
  }
  if (const auto* status = std::get_if<mxtally::StatusOptions>(&command)) {
    return mxtally::Status(*status, std::cout, std::cerr);
  }
  return std::get<int>(command);
}
