// mxtally-server: stores sessions and answers queries.

#include <unistd.h>

#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "proto/service_manager/sighup.h"
#include "server/program/database_commands.h"
#include "server/program/options.h"
#include "server/program/serve_command.h"

int main(int argc, char** argv) {
  mxtally::HoldSighup();
  const std::vector<std::string> words(argv + 1, argv + argc);
  mxtally::CommandLine command = mxtally::ParseCommandLine(words, environ, std::cout, std::cerr);
  if (const auto* serve = std::get_if<mxtally::ServeOptions>(&command)) {
    return mxtally::Serve(*serve, words, environ);
  }
  mxtally::ReleaseSighup();
  if (const auto* audit = std::get_if<mxtally::AuditOptions>(&command)) {
    return mxtally::Audit(*audit, std::cout, std::cerr);
  }
  if (auto* backup = std::get_if<mxtally::BackupOptions>(&command)) {
    backup->show_progress = isatty(STDERR_FILENO) != 0;
    return mxtally::BackUp(*backup, std::cout, std::cerr);
  }
  if (const auto* reopen = std::get_if<mxtally::ReopenOptions>(&command)) {
    return mxtally::Reopen(*reopen, std::cout, std::cerr);
  }
  return std::get<int>(command);
}
