#include "server/program/database_commands.h"

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/open.h"

namespace mxtally {
namespace {

constexpr int kFailure = 1;
constexpr int kDamaged = 3;

}  // namespace

int Audit(const AuditOptions& options, std::ostream& out, std::ostream& err) {
  const absl::StatusOr<std::vector<std::string>> findings = AuditStore(options.database);
  if (!findings.ok()) {
    err << findings.status().message() << "\n";
    return kFailure;
  }
  for (const std::string& finding : *findings) out << finding << "\n";
  if (!findings->empty()) {
    out << options.database
        << ": damaged; stop the server and restore a backup, agents fill it up\n";
    return kDamaged;
  }
  out << options.database << ": good\n";
  return 0;
}

int BackUp(const BackupOptions& options, std::ostream& out, std::ostream& err) {
  int percent = -1;
  const absl::Status done = BackUpStore(options.database, options.to, [&](double part) {
    const int now = static_cast<int>(part * 100);
    if (!options.show_progress || now == percent) return;
    percent = now;
    err << "\r" << percent << " %" << std::flush;
  });
  if (percent >= 0) err << "\r      \r";
  if (!done.ok()) {
    err << done.message() << "\n";
    return kFailure;
  }
  out << options.to << ": whole\n";
  return 0;
}

int Reopen(const ReopenOptions& options, std::ostream& out, std::ostream& err) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore({.url = options.database});
  if (!store.ok()) {
    err << store.status().message() << "\n";
    return kFailure;
  }
  if (absl::Status s = (*store)->ReopenDay(options.host, options.day); !s.ok()) {
    err << options.database << ": " << s.message() << "\n";
    return kFailure;
  }
  out << "day " << absl::FormatCivilTime(options.day) << " of host " << options.host
      << " is open and empty: start the server and read the day's log again; the day is sealed "
         "anew "
         "24 hours after its last record\n";
  return 0;
}

}  // namespace mxtally
