#include "server/auth/server_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpcpp/security/auth_context.h>

#include <string>
#include <utility>
#include <vector>

#include "proto/mutex/mutex.h"

namespace mxtally {
namespace {

constexpr absl::string_view kPath = ":path";
constexpr absl::string_view kAuthorization = "authorization";
constexpr absl::string_view kUserAgent = "user-agent";

absl::string_view View(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

absl::string_view FirstProperty(const grpc_auth_context* context, const char* name) {
  grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(context, name);
  const grpc_auth_property* property = grpc_auth_property_iterator_next(&it);
  if (property == nullptr) return {};
  return {property->value, property->value_length};
}

// What gRPC's callbacks need.  Lives as long as the credentials in gRPC's core,
// which handshakes and connections hold on to: longer than the C++ object.
class State {
 public:
  State(Authority& authority, std::shared_ptr<const CurrentCredentials> current)
      : authority_(authority), current_(std::move(current)) {}

  absl::Status Check(const Peer& peer, absl::string_view method) {
    return authority_.Check(peer, method);
  }

  grpc_ssl_certificate_config_reload_status Fetch(grpc_ssl_server_certificate_config** config) {
    std::shared_ptr<const Credentials> newest = current_->get();
    MutexLock lock(mutex_);
    if (newest == given_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {.private_key = newest->key_pem.c_str(),
                                             .cert_chain = newest->certificate_pem.c_str()};
    *config = grpc_ssl_server_certificate_config_create(newest->authorities_pem.c_str(), &pair, 1);
    given_ = std::move(newest);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

 private:
  Authority& authority_;  // For calls, which end before the server does.
  const std::shared_ptr<const CurrentCredentials> current_;

  Mutex mutex_;
  std::shared_ptr<const Credentials> given_ ABSL_GUARDED_BY(mutex_);
};

// Before each handshake.  gRPC keeps what it had when this is not new.
grpc_ssl_certificate_config_reload_status Fetch(void* state,
                                                grpc_ssl_server_certificate_config** config) {
  return static_cast<State*>(state)->Fetch(config);
}

void ProcessCall(void* state, grpc_auth_context* context, const grpc_metadata* metadata,
                 size_t metadata_count, grpc_process_auth_metadata_done_cb done, void* user_data) {
  Peer peer;
  peer.certificate_pem = FirstProperty(context, GRPC_X509_PEM_CERT_PROPERTY_NAME);
  absl::string_view method;
  for (size_t i = 0; i < metadata_count; ++i) {
    const absl::string_view key = View(metadata[i].key);
    if (key == kPath) method = View(metadata[i].value);
    if (key == kAuthorization) peer.authorization = View(metadata[i].value);
    if (key == kUserAgent) peer.user_agent = View(metadata[i].value);
  }
  const absl::Status status = static_cast<State*>(state)->Check(peer, method);
  // Both sides use the canonical codes, number for number.
  done(user_data, nullptr, 0, nullptr, 0, static_cast<grpc_status_code>(status.code()),
       status.ok() ? nullptr : std::string(status.message()).c_str());
}

// TLS 1.2 is gRPC's floor for these credentials.
grpc_server_credentials* CreateTls(State* state) {
  return grpc_ssl_server_credentials_create_with_options(
      grpc_ssl_server_credentials_create_options_using_config_fetcher(
          GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY, Fetch, state));
}

class AuthorityCredentials final : public grpc::ServerCredentials {
 public:
  AuthorityCredentials(Authority& authority, const CredentialWatch* watch) {
    auto* state = new State(authority, watch == nullptr ? nullptr : watch->shared());
    credentials_ = watch == nullptr ? grpc_insecure_server_credentials_create() : CreateTls(state);
    grpc_server_credentials_set_auth_metadata_processor(
        credentials_, {.process = ProcessCall,
                       .destroy = [](void* owned) { delete static_cast<State*>(owned); },
                       .state = state});
  }
  ~AuthorityCredentials() override { grpc_server_credentials_release(credentials_); }
  AuthorityCredentials(const AuthorityCredentials&) = delete;
  AuthorityCredentials& operator=(const AuthorityCredentials&) = delete;

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* credentials_ = nullptr;
};

absl::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

}  // namespace

std::shared_ptr<grpc::ServerCredentials> CreateServerCredentials(Authority& authority,
                                                                 const CredentialWatch* watch) {
  return std::make_shared<AuthorityCredentials>(authority, watch);
}

absl::StatusOr<Caller> IdentifyCaller(Authority& authority, const grpc::ServerContextBase& context,
                                      absl::string_view method) {
  const std::shared_ptr<const grpc::AuthContext> connection = context.auth_context();
  const std::string address = context.peer();
  Peer peer;
  peer.address = address;
  if (connection != nullptr) {
    const std::vector<grpc::string_ref> certificates =
        connection->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
    if (!certificates.empty()) peer.certificate_pem = View(certificates.front());
  }
  const auto authorization = context.client_metadata().find("authorization");
  if (authorization != context.client_metadata().end()) {
    peer.authorization = View(authorization->second);
  }
  return authority.Identify(peer, method);
}

}  // namespace mxtally
