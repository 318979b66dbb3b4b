// What the lines of an open session said, a bit for each fact.

#ifndef MXTALLY_AGENT_SESSION_SESSION_FACTS_H_
#define MXTALLY_AGENT_SESSION_SESSION_FACTS_H_

#include <cstdint>

namespace mxtally {

class SessionFacts {
 public:
  // Bits of agent.v1.OpenSession.facts: never renumbered.
  enum Fact : uint32_t {
    kUncertain = 1 << 0,         // Reading began within the key's stamp.
    kTlsEstablished = 1 << 1,    // A line says that a handshake succeeded.
    kTlsFailed = 1 << 2,         // A line says that a handshake failed.
    kTlsSetup = 1 << 3,          // A line says that a handshake begins.
    kTlsRefused = 1 << 4,        // TLS was refused before a handshake.
    kActivity = 1 << 5,          // SMTP went on, after kTlsSetup if that was seen.
    kDisconnected = 1 << 6,      // The end line was seen,
    kCounters = 1 << 7,          //   and has counters,
    kStarttlsAccepted = 1 << 8,  //   of these starttls=1 or more,
    kStarttlsFailed = 1 << 9,    //   or starttls=0/n,
    kBdat = 1 << 10,             //   and bdat=1 or more,
    kAnyCommand = 1 << 11,       //   and any command at all.
    // Of sessions that this host opened, and of unframed ones.
    kOutcome = 1 << 12,           // A delivery ended, well or not.
    kClosed = 1 << 13,            // The connection is of no more use.
    kMessageCounted = 1 << 14,    // The newest delivery's message is.
    kFieldEstablished = 1 << 15,  // The delivery line's tls= says so,
    kFieldFailed = 1 << 16,       //   or so,
    kFieldPlaintext = 1 << 17,    //   or so,
    kFieldUnknown = 1 << 18,      //   or that nobody knows.
    kImplicitTls = 1 << 19,       // The first line says that TLS began with the connection.
    kMayBeHandedOn = 1 << 20,     // To another service, whose session it is then,
    kHandedOn = 1 << 21,          //   or it was.
    kFieldNotShown = 1 << 22,     // A field that shows TLS is missing.
    kRests = 1 << 23,             // The log may tell no more of it.
    kFramed = 1 << 24,            // A line told where it begins.
    kTransaction = 1 << 25,       // A transaction ended, with a message or without.
    kConnecting = 1 << 26,        // No connection came about so far.
    kLocal = 1 << 27,             // The peer is a process of this host.
    kNobody = 1 << 28,            // The first line knows no address: the peer was gone by then.
    kTlsWouldShow = 1 << 29,      // Lines of other sessions tell that TLS would have a line.
    kTold = 1 << 30,  // Its record was handed on before its end, and no line came since.
  };

  SessionFacts() = default;
  explicit SessionFacts(uint32_t bits) : bits_(bits) {}

  // Each takes one or several, joined by "|".  Whether any of them is there.
  bool Has(uint32_t facts) const { return (bits_ & facts) != 0; }
  void Add(uint32_t facts) { bits_ |= facts; }
  void Remove(uint32_t facts) { bits_ &= ~facts; }

  uint32_t bits() const { return bits_; }

 private:
  uint32_t bits_ = 0;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_SESSION_FACTS_H_
