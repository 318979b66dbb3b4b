// mxtally-server: stores sessions and answers queries.

#include <unistd.h>

#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "server/program/options.h"
#include "server/program/serve_command.h"

int main(int argc, char** argv) {
  const mxtally::CommandLine command = mxtally::ParseCommandLine(
      std::vector<std::string>(argv + 1, argv + argc), environ, std::cout, std::cerr);
  if (const auto* serve = std::get_if<mxtally::ServerOptions>(&command)) {
    return mxtally::Serve(*serve);
  }
  return std::get<int>(command);
}
