#include "server/auth/grpc_log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <mutex>
#include <shared_mutex>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace mxtally {
namespace {

// Of src/core/tsi/ssl_transport_security.cc; a test of the server holds it.
constexpr absl::string_view kHandshakeFailed = "Handshake failed with fatal error";

// Shared while a line is told, so that nobody is told who has gone.
std::shared_mutex mutex;
AuthObserver* current = nullptr;

void Take(gpr_log_func_args* line) {
  std::shared_lock lock(mutex);
  if (current == nullptr) return;
  const std::string text(line->message);
  if (absl::StartsWith(text, kHandshakeFailed)) {
    current->OnHandshakeFailed(text);
  } else {
    current->OnGrpcTrouble(text);
  }
}

// A message whose text is not UTF-8 is a line for each field, which any client
// could flood the log with.
void TakeOfProtobuf(google::protobuf::LogLevel /*level*/, const char* /*file*/, int /*line*/,
                    const std::string& text) {
  std::shared_lock lock(mutex);
  if (current != nullptr) current->OnGrpcTrouble(absl::StrCat("protobuf: ", text));
}

}  // namespace

GrpcLog::GrpcLog(AuthObserver& observer) : observer_(observer) {
  {
    std::unique_lock lock(mutex);
    current = &observer;
  }
  gpr_set_log_function(Take);
  google::protobuf::SetLogHandler(TakeOfProtobuf);
}

GrpcLog::~GrpcLog() {
  std::unique_lock lock(mutex);
  if (current == &observer_) current = nullptr;
}

}  // namespace mxtally
