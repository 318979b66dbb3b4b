// Gathers the events of one log, one Session per SMTP session.
//
// The rule that names a session is design decision "key" (ARCHITECTURE.md).  Which line
// starts one, and which goes on with it, depends on what an MTA logs of a connection:
//
//   framed_sessions.h     a line for its beginning, or one for its end
//   outbound_sessions.h   handshakes and deliveries (Postfix smtp, Sendmail)
//   unframed_sessions.h   messages, maybe nothing else (Exim)
//
// Everything runs on log time: the same lines from the same state make the
// same records.  One thread only.

#ifndef MXTALLY_AGENT_SESSION_ASSEMBLER_H_
#define MXTALLY_AGENT_SESSION_ASSEMBLER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "agent/parser/event.h"
#include "agent/parser/framer.h"
#include "agent/session/peer_class.h"
#include "agent/session/session.h"
#include "mxtally/agent/v1/checkpoint.pb.h"

namespace mxtally {

// Grows whenever the parser understands more of the same lines.
inline constexpr uint32_t kParserVersion = 2;
// Version of the rule that decides which line starts a session.
inline constexpr uint32_t kKeyVersion = 1;

struct AssemblerOptions {
  // Host of the keys.  Empty: the host of each line's header (`scan`).
  std::string host;

  // Borrowed; must outlive the assembler.  nullptr: nothing is excluded.
  const PeerClassifier* peers = nullptr;

  // A session without a line for this long is given up.  Larger values keep
  // more memory and find the end of slower sessions.
  absl::Duration idle_max = absl::Hours(1);

  // Sessions open at a time, those that wait for confirmation and those given
  // up whose late lines may still come included.  Beyond it the latter are
  // forgotten, then the least recently used session is given up.
  int open_sessions_max = 20'000;

  // A session whose queue ids must be confirmed by another process is held
  // this long after its end.
  absl::Duration confirmation_max = absl::Minutes(5);

  // A session that this host opened ends so long after the last outcome of a delivery.
  // Postfix uses a connection for five minutes at most (smtp_connection_reuse_time_limit).
  absl::Duration rest_max = absl::Minutes(5);
  // The same for one that came in, after its last line: a client may be silent for five
  // minutes (Exim's smtp_receive_timeout), and take time to send the next message.  One that may
  // go on nevertheless, as those of Sendmail may for an hour, is told of by then
  // (OnSilentSession).
  absl::Duration inbound_rest_max = absl::Minutes(10);
  // And for one that was closed, whose last line follows at once.
  absl::Duration closed_rest_max = absl::Minutes(1);

  // A connection that may be handed on is taken for handed on so long after its last
  // line, as that may happen in silence.
  absl::Duration screening_max = absl::Minutes(10);

  // Queue ids waiting for confirmation, of all sessions together.  Beyond it
  // messages that only a queue id tells of are not counted.
  int queue_ids_max = 65'536;

  // Ordinals are remembered for so much log time, and for so many pairs of tag
  // and stamp, so that keys stay apart when the clock steps back.
  absl::Duration ordinal_memory = absl::Hours(2);
  int ordinals_max = 65'536;

  // That a client which sends logs TLS (agent/session/tls_logging.h) is remembered for so
  // much log time after it did, so that hosts that send little may do so once a week; and
  // of so many clients.
  absl::Duration tls_logging_memory = absl::Hours(24 * 7);
  int tls_clients_max = 1'024;
};

// What cannot be returned.  Called on the caller's thread.
class AssemblerObserver {
 public:
  virtual ~AssemblerObserver() = default;
  // A finished session, valid during the call.
  virtual void OnSession(const Session& session) = 0;
  // What was read of a session may be all, and nothing was for ten minutes: its record as it is.
  // Returns whether it was taken.  Then the session comes by OnSession only if further lines do,
  // with the same key and a higher rank.
  virtual bool OnSilentSession(const Session&) { return false; }
  // A session that began before the reading: not a record.
  virtual void OnCutSession() {}
  // A session was given up before its end (its record came by OnSession, or will).
  virtual void OnEvictedSession() {}
  // Of the session that is handed on next, which this host opened to an EXTERNAL peer,
  // no line tells TLS from plaintext, because its client logs none of TLS.
  virtual void OnTlsNotLogged() {}
  // An ordinal was forgotten before its time.
  virtual void OnForgottenOrdinal() {}
};

struct SessionTable;

class Assembler {
 public:
  // `observer` must outlive the assembler.
  Assembler(AssemblerOptions options, AssemblerObserver& observer);
  ~Assembler();

  // Continues from a stored state; nothing may have been added before.
  void Restore(const agent::v1::AssemblerState& state);
  // Replaces all of `state` but its header host, which is not the assembler's.
  void Save(agent::v1::AssemblerState& state) const;

  // Takes the next event of the log.  `line` is the line it came from.
  void Add(const FramedLine& line, const Event& event);

  // Moves log time on by a line that is no event: idle sessions end.  Cheap.
  void Tick(absl::Time time);

  // The next line does not follow the last: log in between is gone.
  // Open sessions stay; stamps equal to the next line's are uncertain.
  void OnGap();

  // The lines that follow are those from `stamp` on once more, as in a file that
  // holds two copies of a log: sessions that began there begin again, under
  // the same keys.
  void OnLogBeginsAgain(absl::Time stamp);

  // Hands on the sessions that ended and still wait for confirmation, and those that rest.  For a
  // report on what was read; a reading that goes on must not.
  void FinishHeld();

  // Calls `visit` for each session whose end was not read, with what is known of
  // it: its key and, once a line told, its peer.
  void VisitOpen(const std::function<void(const Session&)>& visit) const;

  // All sessions that it remembers, and pairs of tag and stamp.
  int64_t remembered() const;
  int64_t ordinals() const;
  // Gives up what costs least: drops a session that only swallows late lines or hands
  // on one that waits, else evicts the least recently used.  For callers that
  // bound several assemblers together; what they ask for is there.
  void GiveUpOne();
  void ForgetOldestOrdinals();
  // Hands on all sessions, those without an end as idle ones.
  void GiveUpAll();

  // Sessions whose records were not handed on yet; at the end of a reading they stay open.
  int64_t open_sessions() const;
  // Key stamp of the oldest of them.
  std::optional<absl::Time> oldest_open() const;

 private:
  std::unique_ptr<SessionTable> table_;
};

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SESSION_ASSEMBLER_H_
