// The program itself: what it says, and how it ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/temporary_folder.h"

namespace mxtally {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// A running mxtally-server, both of its outputs in one pipe.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      dup2(ends[1], STDERR_FILENO);
      close(ends[0]);
      arguments.insert(arguments.begin(), MXTALLY_SERVER_BIN);
      execve(MXTALLY_SERVER_BIN, Pointers(arguments).data(), Pointers(environment).data());
      _exit(127);
    }
    close(ends[1]);
    output_ = fdopen(ends[0], "r");
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Wait();
    }
    (void)fclose(output_);
  }

  // Reads up to a line that holds `text`; everything that was read before is kept.
  void ReadUntil(const std::string& text) {
    char line[4096];
    while (fgets(line, sizeof(line), output_) != nullptr) {
      text_ += line;
      if (std::string(line).find(text) != std::string::npos) return;
    }
  }
  void Signal(int number) { kill(pid_, number); }

  // Reads to the end and returns the exit status.
  int Wait() {
    ReadUntil("\n\n");  // No line holds two: to the end.
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  const std::string& text() const { return text_; }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (std::string& string : strings) pointers.push_back(string.data());
    pointers.push_back(nullptr);
    return pointers;
  }

  pid_t pid_ = 0;
  FILE* output_ = nullptr;
  std::string text_;
};

class CommandLineTest : public testing::Test {
 protected:
  std::string Database() const { return absl::StrCat("sqlite:", folder_.path(), "/mxtally.db"); }

  // Runs to the end; the exit status and what was said.
  std::pair<int, std::string> Run(std::vector<std::string> arguments) {
    Program program(std::move(arguments));
    const int status = program.Wait();
    return {status, program.text()};
  }

  const TemporaryFolder folder_;
};

TEST_F(CommandLineTest, TellsItsVersion) {
  const auto [status, text] = Run({"--version"});
  EXPECT_EQ(status, 0);
  EXPECT_THAT(text, HasSubstr("mxtally-server 0."));
}

TEST_F(CommandLineTest, HelpNamesOptionsAndTheirVariables) {
  const auto [status, text] = Run({"--help"});
  EXPECT_EQ(status, 0);
  for (const char* word :
       {"--listen", "--http-listen", "--database", "--plaintext", "MXTALLY_SERVER_LISTEN",
        "MXTALLY_SERVER_HTTP_LISTEN", "MXTALLY_SERVER_DATABASE", "MXTALLY_SERVER_PLAINTEXT",
        "127.0.0.1:4625", "127.0.0.1:4680"}) {
    EXPECT_THAT(text, HasSubstr(word));
  }
}

TEST_F(CommandLineTest, BadUsageExitsWith2AndSaysWhatToDo) {
  struct Case {
    std::vector<std::string> arguments;
    std::string text;
  };
  for (const Case& c : std::vector<Case>{
           {{}, "--database: expected sqlite:PATH"},
           {{"--bogus"}, "--bogus"},
           {{"serve", "extra"}, "extra"},
           {{"--database", "mysql:x"}, "expected sqlite:PATH"},
           {{"--database", Database(), "--listen", "4625"}, "--listen: expected ADDR:PORT"},
           {{"--database", Database(), "--listen", "0.0.0.0:0"},
            "--listen: expected a loopback address"},
           {{"--database", Database(), "--listen", "127.0.0.1:0", "--http-listen", "[::]:0"},
            "--http-listen: expected a loopback address"},
           {{"--database", Database(), "--tls-cert", "a.pem"},
            "--tls-key: expected a file, because TLS needs --tls-cert, --tls-key and "
            "--tls-client-ca"},
           {{"--database", Database(), "--access", "list"},
            "--access: expected --tls-cert too, because readers and operators need TLS, found "
            "\"list\""},
           {{"--database", Database(), "--agent-streams", "0"}, "--agent-streams: expected "}}) {
    const auto [status, text] = Run(c.arguments);
    EXPECT_EQ(status, 2) << text;
    EXPECT_THAT(text, HasSubstr(c.text));
  }
}

TEST_F(CommandLineTest, DatabaseThatCannotBeOpenedExitsWith1) {
  const auto [status, text] =
      Run({"--database", absl::StrCat("sqlite:", folder_.path(), "/no/such.db"), "--listen",
           "127.0.0.1:0", "--http-listen", "127.0.0.1:0"});
  EXPECT_EQ(status, 1);
  EXPECT_THAT(text, HasSubstr("no/such.db"));
}

TEST_F(CommandLineTest, ServesUntilASignalWithOneReadyLine) {
  for (const int number : {SIGTERM, SIGINT}) {
    Program program({"serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                     "--database", Database()});
    program.ReadUntil("ready: gRPC on 127.0.0.1:");
    program.Signal(number);
    EXPECT_EQ(program.Wait(), 0) << program.text();
    const std::vector<std::string> parts = absl::StrSplit(program.text(), "ready: gRPC on ");
    EXPECT_THAT(parts, SizeIs(2));
  }
}

TEST_F(CommandLineTest, ConfigurationFileIsChecked) {
  const std::string path = folder_ / "server.toml";
  std::ofstream(path) << "listen = 4625\n"
                         "http-listen = \"0.0.0.0:0\"\n"
                         "database = \"mysql:x\"\n"
                         "databse = \"sqlite:x\"\n"
                         "plaintext = 1\n";
  for (const char* command : {"check", "serve"}) {
    const auto [status, text] = Run({command, "--config", path});
    EXPECT_EQ(status, 78);
    for (const char* error :
         {":1: listen: expected a string, found the integer 4625",
          ":2: http-listen: expected a loopback address",
          ":3: database: expected sqlite:PATH, found \"mysql:x\"", ":4: databse: expected one of ",
          ":5: plaintext: expected true or false"}) {
      EXPECT_THAT(text, HasSubstr(path + error));
    }
  }
  std::ofstream(path) << "database = \"" << Database() << "\"\n";
  const auto [status, text] = Run({"check", "--config", path});
  EXPECT_EQ(status, 0);
  EXPECT_EQ(text, path + ": good\n");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "mxtally.db"));
}

TEST_F(CommandLineTest, WrongAndUnknownVariablesAreWrongUsage) {
  Program program({"--database", Database()},
                  {"MXTALLY_SERVER_PLAINTEXT=on", "MXTALLY_SERVER_LISTN=127.0.0.1:0",
                   "MXTALLY_TEST_KILL=sometimes"});
  EXPECT_EQ(program.Wait(), 2);
  for (const char* error : {"MXTALLY_SERVER_PLAINTEXT: expected true or false, found \"on\"",
                            "MXTALLY_SERVER_LISTN: expected one of MXTALLY_SERVER_CONFIG",
                            "MXTALLY_TEST_KILL: expected after_commit:PROBABILITY:SEED"}) {
    EXPECT_THAT(program.text(), HasSubstr(error));
  }
}

TEST_F(CommandLineTest, DatabaseIsCheckedAndBackedUpWhileItIsServed) {
  Program server(
      {"--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--database", Database()});
  server.ReadUntil("ready: ");
  const std::string copy = folder_ / "copy.db";
  EXPECT_EQ(Run({"check", "--database", Database()}), std::make_pair(0, Database() + ": good\n"));
  EXPECT_EQ(Run({"backup", "--database", Database(), "--to", copy}),
            std::make_pair(0, copy + ": whole\n"));
  EXPECT_EQ(Run({"backup", "--database", Database(), "--to", copy}),
            std::make_pair(1, copy + ": expected no file, found one\n"));
  EXPECT_EQ(Run({"check", "--database", "sqlite:" + copy}),
            std::make_pair(0, "sqlite:" + copy + ": good\n"));
}

TEST_F(CommandLineTest, CheckOfADamagedDatabaseIs3AndOfNone1) {
  const std::string path = folder_ / "mxtally.db";
  EXPECT_EQ(Run({"check", "--database", Database()}),
            std::make_pair(1, path + ": No such file or directory\n"));
  {
    Program server(
        {"--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--database", Database()});
    server.ReadUntil("ready: ");
    server.Signal(SIGTERM);
    EXPECT_EQ(server.Wait(), 0);
  }
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 4096 / 2 * 4096);
  const auto [status, text] = Run({"check", "--database", Database()});
  EXPECT_EQ(status, 3) << text;
  EXPECT_THAT(text, HasSubstr("damaged; stop the server and restore a backup"));
}

TEST_F(CommandLineTest, ReopenNeedsAStoppedServerAndASealedDay) {
  const auto reopen = [this](const std::string& day) {
    return Run({"reopen", "--database", Database(), "--host", "mx1", "--day", day});
  };
  {
    Program server(
        {"--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--database", Database()});
    server.ReadUntil("ready: ");
    const auto [status, text] = reopen("2026-11-02");
    EXPECT_EQ(status, 1);
    EXPECT_THAT(text, HasSubstr("another server has this database open"));
    server.Signal(SIGTERM);
    EXPECT_EQ(server.Wait(), 0);
  }
  EXPECT_EQ(reopen("2026-11-02"), std::make_pair(1, Database() + ": no host is named mx1\n"));
  EXPECT_EQ(reopen("yesterday"),
            std::make_pair(2, std::string("--day: expected a day, such as 2026-11-02, found "
                                          "\"yesterday\"\n")));
}

TEST_F(CommandLineTest, CountsAreNotKeptShorterThanWhatTheyCount) {
  for (const auto& [option, expected] : std::vector<std::pair<std::string, std::string>>{
           {"--hour-retention=29d", "at least --session-retention, which is 30d"},
           {"--session-retention=0", "at least --session-retention, which is forever"},
           {"--day-retention=1d", "at least --hour-retention, which is 400d"},
           {"--session-retention=soon", "soon"}}) {
    const auto [status, text] = Run({"--database", Database(), option});
    EXPECT_EQ(status, 2) << option;
    EXPECT_THAT(text, HasSubstr(expected));
  }
}

TEST_F(CommandLineTest, ListOfExpectedHostsIsCheckedWithItsLine) {
  const std::string path = folder_ / "hosts";
  std::ofstream(path) << "# the fleet\nmx1.example.org\n\nmx 2  # no name\n";
  const auto [status, text] = Run({"--database", Database(), "--expected-hosts", path});
  EXPECT_EQ(status, 2);
  EXPECT_THAT(text, HasSubstr(path + ":4: expected the name of a host"));
}

TEST_F(CommandLineTest, BackupNeedsItsOptions) {
  EXPECT_EQ(Run({"backup", "--database", Database()}).first, 2);
  EXPECT_EQ(Run({"backup", "--to", "x"}).first, 2);
  EXPECT_EQ(Run({"backup", "--database", Database(), "--to", "x", "--listen", "127.0.0.1:0"}).first,
            2);
}

TEST_F(CommandLineTest, EveryOptionHasAVariable) {
  Program program({}, {"MXTALLY_SERVER_LISTEN=0.0.0.0:0", "MXTALLY_SERVER_HTTP_LISTEN=127.0.0.1:0",
                       "MXTALLY_SERVER_DATABASE=" + Database(), "MXTALLY_SERVER_PLAINTEXT=true"});
  program.ReadUntil("ready: gRPC on 0.0.0.0:");
  program.Signal(SIGTERM);
  EXPECT_EQ(program.Wait(), 0) << program.text();
}

}  // namespace
}  // namespace mxtally
