// GET /metrics, /healthz and /readyz.  Plain HTTP, for a scraper and a balancer
// nearby; everything that a client may use up is bounded.

#ifndef MXTALLY_SERVER_HTTP_HTTP_SERVER_H_
#define MXTALLY_SERVER_HTTP_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mxtally {

struct HttpOptions {
  // Where to listen.  Port 0: any free one.
  std::string host = "127.0.0.1";
  int port = 0;

  // Requests served at a time, and connections that wait for one of these
  // threads.  Beyond, connections wait in the kernel.
  int threads = 4;
  int connections_waiting_max = 64;

  // Longest wait for the next bytes of a request, and for room to answer.
  int io_seconds_max = 5;

  // Text of /metrics; called from several threads.
  std::function<std::string()> metrics = [] { return std::string(); };

  // /readyz answers 503 and the message when this is not OK; called from several threads.
  std::function<absl::Status()> ready = [] { return absl::OkStatus(); };
};

// Thread-safe.
class HttpServer {
 public:
  // Binds, and serves until the destructor.
  //   UNAVAILABLE  the address is in use, or not one of this machine
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpOptions options);

  virtual ~HttpServer() = default;

  // The port bound.
  virtual int port() const = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_SERVER_HTTP_HTTP_SERVER_H_
