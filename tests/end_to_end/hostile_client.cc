// A gRPC client that is not ours: sends messages that are wrong in every way to
// each method of the services named, and checks what each is answered with.
//
//     hostile_client --server ADDR [TLS options] --seed N --messages N SERVICE...
//
// The same seed sends the same messages.  Prints, for each method and status,
// how many calls ended so.  Exit status 1 when one ended with another status than
// its messages call for; the first message of such a call is printed in base64.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/time_util.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/client_callback.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "mxtally/v1/fleet.pb.h"
#include "mxtally/v1/ingest.pb.h"
#include "mxtally/v1/stats.pb.h"

namespace mxtally {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using google::protobuf::Reflection;

// What the server takes, see kMessageBytesMax there.
constexpr size_t kMessageBytesMax = 4 << 20;
constexpr std::chrono::seconds kPatience(60);
constexpr int kStreamMessagesMax = 12;

// Of what is right: 2026-01-01.
constexpr int64_t kTime = 1'767'225'600;

struct Options {
  std::string server;
  std::string authorities;
  std::string certificate;
  std::string key;
  std::string token;
  std::string host = "hostile.example.org";
  std::vector<std::string> words;
  uint64_t seed = 1;
  int messages = 1000;
  std::vector<std::string> services;
};

// Makes messages: such as are right, and such as are not in any way.
class Maker {
 public:
  Maker(uint64_t seed, const Options& options) : random_(seed), host_(options.host) {
    words_ = {"",
              host_,
              "24h",
              "7d",
              "2020-01-01/2021-01-01",
              "9999-01-01/0001-01-01",
              "cipher",
              "host",
              "day",
              "hour",
              "UTC",
              "Europe/Amsterdam",
              "-sessions",
              "smtpd",
              "inbound",
              "TLSv1.3",
              "all",
              "/var/log/mail.log",
              "postfix/smtpd[1]",
              "' OR 1=1; --",
              "%s%n",
              "../../etc/passwd",
              "a\nb\r\n",
              std::string("nul\0nul", 7),
              "\xe2\x80\xae\xf0\x9f\x93\xa7",
              std::string(256, 'x'),
              std::string(5000, '9'),
              std::string(100'000, '@')};
    words_.insert(words_.end(), options.words.begin(), options.words.end());
  }

  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool OneIn(uint64_t count) { return Below(count) == 0; }

  // Serialized; `right`: a message to begin with, none: random fields.
  std::string Make(const Message& right) {
    if (OneIn(12)) return Bytes(Below(200));
    if (OneIn(100)) return OneIn(2) ? Oversized() : Deep();
    std::unique_ptr<Message> message(right.New());
    message->CopyFrom(right);
    for (uint64_t changes = Below(4); changes > 0; --changes) Change(*message, 0);
    std::string text = message->SerializePartialAsString();
    if (OneIn(3)) Mutate(text);
    return text;
  }

  // A field that nobody knows, of more bytes than the server takes.
  std::string Oversized() {
    const size_t size = kMessageBytesMax + Below(kMessageBytesMax);
    return absl::StrCat("\xfa\x01", VarInt(size), std::string(size, 'x'));
  }

  // Every field random, each with a chance.
  void Fill(Message& message, int depth) {
    for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
      if (OneIn(3)) Set(message, *message.GetDescriptor()->field(i), depth);
    }
  }

 private:
  std::string Bytes(size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }

  static std::string VarInt(uint64_t value) {
    std::string bytes;
    for (; value > 127; value >>= 7) bytes.push_back(static_cast<char>(value | 128));
    bytes.push_back(static_cast<char>(value));
    return bytes;
  }

  // Groups in groups.
  std::string Deep() { return std::string(1 + Below(300'000), '\x0b'); }

  void Mutate(std::string& text) {
    for (uint64_t count = 1 + Below(4); count > 0; --count) {
      const size_t at = text.empty() ? 0 : Below(text.size());
      switch (Below(5)) {
        case 0:
          text.resize(at);
          break;
        case 1:
          if (!text.empty()) text[at] = static_cast<char>(text[at] ^ (1U << Below(8)));
          break;
        case 2:
          text.insert(at, Bytes(1 + Below(8)));
          break;
        case 3:
          text.erase(at, 1 + Below(8));
          break;
        default:
          text.insert(at, text.substr(at, Below(64)));
          break;
      }
    }
  }

  // Changes one field, here or further down.
  void Change(Message& message, int depth) {
    if (message.GetDescriptor()->field_count() == 0) return;
    const FieldDescriptor& field = *message.GetDescriptor()->field(
        static_cast<int>(Below(message.GetDescriptor()->field_count())));
    const Reflection& reflection = *message.GetReflection();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !OneIn(4)) {
      if (field.is_repeated() && reflection.FieldSize(message, &field) > 0) {
        const int index = static_cast<int>(Below(reflection.FieldSize(message, &field)));
        return Change(*reflection.MutableRepeatedMessage(&message, &field, index), depth + 1);
      }
      if (!field.is_repeated() && reflection.HasField(message, &field)) {
        return Change(*reflection.MutableMessage(&message, &field), depth + 1);
      }
    }
    if (OneIn(4)) return reflection.ClearField(&message, &field);
    Set(message, field, depth);
  }

  void Set(Message& message, const FieldDescriptor& field, int depth) {
    const Reflection& reflection = *message.GetReflection();
    if (field.is_repeated()) {
      const uint64_t many = OneIn(40) ? 20'000 : 1 + Below(4);
      for (uint64_t i = 0; i < many; ++i)
        Add(message, reflection, field, depth + (many > 4 ? 9 : 0));
      return;
    }
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.SetString(&message, &field, Word());
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.SetInt32(&message, &field, static_cast<int32_t>(Number()));
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection.SetUInt32(&message, &field, static_cast<uint32_t>(Number()));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.SetInt64(&message, &field, Number());
      case FieldDescriptor::CPPTYPE_UINT64:
        return reflection.SetUInt64(&message, &field, static_cast<uint64_t>(Number()));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection.SetDouble(&message, &field, static_cast<double>(Number()));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection.SetFloat(&message, &field, static_cast<float>(Number()));
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.SetBool(&message, &field, OneIn(2));
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection.SetEnumValue(&message, &field, static_cast<int>(EnumNumber()));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (depth < 8) Fill(*reflection.MutableMessage(&message, &field), depth + 1);
        return;
    }
  }

  void Add(Message& message, const Reflection& reflection, const FieldDescriptor& field,
           int depth) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.AddString(&message, &field, depth < 9 ? Word() : "x");
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection.AddEnumValue(&message, &field, static_cast<int>(EnumNumber()));
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        Message& added = *reflection.AddMessage(&message, &field);
        if (depth < 8) Fill(added, depth + 1);
        return;
      }
      default:
        return;  // The protocol repeats nothing else.
    }
  }

  const std::string& Word() { return words_[Below(words_.size())]; }

  int64_t Number() {
    constexpr int64_t kNumbers[] = {0,
                                    1,
                                    -1,
                                    2,
                                    10,
                                    1000,
                                    10'000,
                                    999'999'999,
                                    1'000'000'000,
                                    std::numeric_limits<int32_t>::max(),
                                    std::numeric_limits<int32_t>::min(),
                                    253'402'300'800,
                                    -62'135'596'801,
                                    std::numeric_limits<int64_t>::max(),
                                    std::numeric_limits<int64_t>::min()};
    if (OneIn(6)) return static_cast<int64_t>(random_());
    return kNumbers[Below(std::size(kNumbers))];
  }

  int64_t EnumNumber() { return OneIn(3) ? Number() : static_cast<int64_t>(Below(8)); }

  std::mt19937_64 random_;
  std::string host_;
  std::vector<std::string> words_;
};

// What a call of these messages may be answered with.
using Codes = std::set<grpc::StatusCode>;

Codes UnaryCodes(const Descriptor& type, const std::string& text) {
  if (text.size() > kMessageBytesMax) return {grpc::StatusCode::RESOURCE_EXHAUSTED};
  const std::unique_ptr<Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
  // gRPC's own word for what is no such message, before our code sees it.
  if (!message->ParseFromString(text)) return {grpc::StatusCode::UNIMPLEMENTED};
  return {grpc::StatusCode::OK, grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::NOT_FOUND,
          grpc::StatusCode::FAILED_PRECONDITION};
}

const Codes& StreamCodes() {
  static const Codes codes = {grpc::StatusCode::OK, grpc::StatusCode::INVALID_ARGUMENT,
                              grpc::StatusCode::FAILED_PRECONDITION,
                              grpc::StatusCode::PERMISSION_DENIED,
                              grpc::StatusCode::RESOURCE_EXHAUSTED};
  return codes;
}

grpc::ByteBuffer Buffer(const std::string& text) {
  const grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

// Sends its messages, hears everything, and keeps the status.
class Stream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Stream(grpc::GenericStub& stub, grpc::ClientContext& context, const std::string& method,
         const std::vector<std::string>& messages) {
    for (const std::string& message : messages) messages_.push_back(Buffer(message));
    stub.PrepareBidiStreamingCall(&context, method, {}, this);
    StartRead(&heard_);
    WriteNext();
    StartCall();
  }
  grpc::Status Wait() { return done_.get_future().get(); }

 private:
  void WriteNext() {
    if (next_ == messages_.size()) return StartWritesDone();
    StartWrite(&messages_[next_++]);
  }
  void OnWriteDone(bool ok) override {
    if (ok) WriteNext();
  }
  void OnReadDone(bool ok) override {
    if (ok) StartRead(&heard_);
  }
  void OnDone(const grpc::Status& status) override { done_.set_value(status); }

  std::vector<grpc::ByteBuffer> messages_;
  size_t next_ = 0;
  grpc::ByteBuffer heard_;
  std::promise<grpc::Status> done_;
};

class Client {
 public:
  explicit Client(const Options& options)
      : options_(options), maker_(options.seed, options), stub_(Connect(options)) {}

  void Attack(const MethodDescriptor& method) {
    const std::string path = absl::StrCat("/", method.service()->full_name(), "/", method.name());
    for (int sent = 0; sent < options_.messages;) {
      if (method.client_streaming()) {
        sent += AttackStream(path);
      } else {
        AttackUnary(path, *method.input_type());
        ++sent;
      }
    }
  }

  int Report() const {
    for (const auto& [method, code] : outcomes_) {
      std::cout << method.first << " " << method.second << " " << code << "\n";
    }
    std::cout << "messages " << messages_ << "\n";
    return bad_ == 0 ? 0 : 1;
  }

 private:
  static std::shared_ptr<grpc::Channel> Connect(const Options& options) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    if (options.authorities.empty()) {
      return grpc::CreateCustomChannel(options.server, grpc::InsecureChannelCredentials(),
                                       arguments);
    }
    return grpc::CreateCustomChannel(
        options.server,
        grpc::SslCredentials({.pem_root_certs = Read(options.authorities),
                              .pem_private_key = Read(options.key),
                              .pem_cert_chain = Read(options.certificate)}),
        arguments);
  }
  static std::string Read(const std::string& path) {
    if (path.empty()) return "";
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void Prepare(grpc::ClientContext& context) const {
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    context.set_wait_for_ready(true);
    if (!options_.token.empty()) {
      context.AddMetadata("authorization", absl::StrCat("Bearer ", options_.token));
    }
  }

  // The first call of each method is too large: left to chance, none is now and then.
  bool IsFirst(const std::string& path) { return called_.insert(path).second; }

  void AttackUnary(const std::string& path, const Descriptor& type) {
    const std::unique_ptr<Message> message(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->New());
    maker_.Fill(*message, 0);
    const std::string text = IsFirst(path) ? maker_.Oversized() : maker_.Make(*message);
    grpc::ClientContext context;
    Prepare(context);
    const grpc::ByteBuffer request = Buffer(text);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> done;
    stub_.UnaryCall(&context, path, {}, &request, &response,
                    [&done](grpc::Status status) { done.set_value(std::move(status)); });
    Note(path, done.get_future().get(), UnaryCodes(type, text), text);
    ++messages_;
  }

  // Returns how many messages were sent.
  int AttackStream(const std::string& path) {
    std::vector<std::string> texts;
    v1::StreamSessionsRequest hello;
    hello.mutable_hello()->set_host(options_.host);
    hello.mutable_hello()->set_agent_version("0.1.0");
    hello.mutable_hello()->set_key_version(1);
    // Most streams begin well, else nothing of what follows is looked at.
    const bool is_first = IsFirst(path);
    texts.push_back(!is_first && maker_.OneIn(6) ? maker_.Make(hello) : hello.SerializeAsString());
    if (is_first) texts.push_back(maker_.Oversized());
    const uint64_t count = 1 + maker_.Below(kStreamMessagesMax);
    for (uint64_t sequence = 1; sequence <= count; ++sequence) {
      v1::StreamSessionsRequest request;
      if (maker_.OneIn(4)) {
        maker_.Fill(*request.mutable_status(), 0);
      } else if (maker_.OneIn(6)) {
        maker_.Fill(request, 0);
      } else {
        FillBatch(*request.mutable_batch(), static_cast<int64_t>(sequence));
      }
      texts.push_back(maker_.Make(request));
    }
    grpc::ClientContext context;
    Prepare(context);
    Stream stream(stub_, context, path, texts);
    Note(path, stream.Wait(), StreamCodes(), texts.back());
    messages_ += static_cast<int64_t>(texts.size());
    return static_cast<int>(texts.size());
  }

  // As an agent sends it.
  void FillBatch(v1::SessionBatch& batch, int64_t sequence) {
    const google::protobuf::Timestamp now =
        google::protobuf::util::TimeUtil::SecondsToTimestamp(kTime);
    batch.set_sequence(sequence);
    batch.set_log("/var/log/mail.log");
    batch.mutable_end()->set_offset(sequence * 1000);
    *batch.mutable_end()->mutable_log_time() = now;
    for (uint64_t i = maker_.Below(4); i > 0; --i) {
      v1::SessionRecord& record = *batch.add_sessions();
      record.mutable_key()->set_key_version(1);
      record.mutable_key()->set_host(options_.host);
      *record.mutable_key()->mutable_stamp() = now;
      record.mutable_key()->set_tag(absl::StrCat("postfix/smtpd[", maker_.Below(1000), "]"));
      record.mutable_rank()->set_parser_version(1);
      record.mutable_rank()->set_lines_used(2);
      record.set_direction(v1::DIRECTION_INBOUND);
      record.set_service("smtpd");
      record.set_peer_class(v1::PEER_CLASS_EXTERNAL);
      record.mutable_tls()->set_state(v1::TLS_STATE_PLAINTEXT);
      record.mutable_tls()->set_evidence(v1::TLS_EVIDENCE_NO_TLS_LINE);
      *record.mutable_end_time() = now;
    }
    v1::HourCounts& counts = *batch.add_counts();
    counts.mutable_hour()->set_seconds(now.seconds() / 3600 * 3600);
    counts.mutable_lines()->set_read(10);
    counts.mutable_lines()->set_ignored(10);
  }

  void Note(const std::string& path, const grpc::Status& status, const Codes& expected,
            const std::string& text) {
    ++outcomes_[{path, static_cast<int>(status.error_code())}];
    if (expected.count(status.error_code()) != 0) return;
    if (++bad_ > 5) return;
    std::cerr << path << ": ended with " << static_cast<int>(status.error_code()) << " "
              << status.error_message() << ", which its messages do not call for: "
              << absl::Base64Escape(text.substr(0, 3000)) << "\n";
  }

  const Options& options_;
  Maker maker_;
  grpc::GenericStub stub_;
  std::set<std::string> called_;
  std::map<std::pair<std::string, int>, int64_t> outcomes_;
  int64_t messages_ = 0;
  int64_t bad_ = 0;
};

int Main(int argc, char** argv) {
  google::protobuf::SetLogHandler(nullptr);
  Options options;
  CLI::App app("Sends messages that are wrong in every way.");
  app.add_option("--server", options.server)->required();
  app.add_option("--tls-ca", options.authorities);
  app.add_option("--tls-cert", options.certificate);
  app.add_option("--tls-key", options.key);
  app.add_option("--token", options.token);
  app.add_option("--host", options.host);
  app.add_option("--word", options.words);
  app.add_option("--seed", options.seed)->required();
  app.add_option("--messages", options.messages)->required();
  app.add_option("SERVICE", options.services)->required();
  CLI11_PARSE(app, argc, argv);

  Client client(options);
  // Links the descriptors in.
  v1::GetTlsStatsRequest::descriptor();
  v1::ListHostsRequest::descriptor();
  for (const std::string& name : options.services) {
    const google::protobuf::ServiceDescriptor* const service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    if (service == nullptr) {
      std::cerr << "no service " << name << "\n";
      return 2;
    }
    for (int i = 0; i < service->method_count(); ++i) client.Attack(*service->method(i));
  }
  return client.Report();
}

}  // namespace
}  // namespace mxtally

// The library that gRPC looks names up with leaks ten bytes.
extern "C" const char* __lsan_default_suppressions() { return "leak:libcares"; }

int main(int argc, char** argv) { return mxtally::Main(argc, argv); }
