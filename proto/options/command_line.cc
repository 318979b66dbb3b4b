#include "proto/options/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "proto/options/option_set.h"

namespace mxtally {

std::optional<int> ParseWords(std::vector<std::string> words, CLI::App& app,
                              const CLI::App& main_command, std::ostream& out, std::ostream& err) {
  try {
    std::reverse(words.begin(), words.end());  // CLI11 takes them from the back.
    app.parse(std::move(words));
    return std::nullopt;
  } catch (const CLI::CallForHelp& help) {
    if (app.get_subcommands().empty()) {
      out << app.help() << "\n" << main_command.help();
    } else {
      app.exit(help, out, err);
    }
    return 0;
  } catch (const CLI::ParseError& error) {
    // The version is an "error" with exit code 0.
    return app.exit(error, out, err) == 0 ? 0 : OptionSet::kBadUsage;
  }
}

}  // namespace mxtally
