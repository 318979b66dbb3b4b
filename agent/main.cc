// mxtally-agent: follows mail logs and sends their sessions to the server.

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

int main(int argc, char** argv) {
  mxtally::HoldSighup();
  const std::vector<std::string> words(argv + 1, argv + argc);
  mxtally::CommandLine command = mxtally::ParseCommandLine(words, environ, std::cout, std::cerr);
  if (const auto* run = std::get_if<mxtally::RunOptions>(&command)) {
    return mxtally::Run(*run, words, environ);
  }
  mxtally::ReleaseSighup();
  if (auto* scan = std::get_if<mxtally::ScanOptions>(&command)) {
    scan->show_progress = isatty(STDERR_FILENO) != 0;
    return mxtally::RunScan(*scan, std::cout, std::cerr);
  }
  if (const auto* status = std::get_if<mxtally::StatusOptions>(&command)) {
    return mxtally::Status(*status, std::cout, std::cerr);
  }
  return std::get<int>(command);
}
