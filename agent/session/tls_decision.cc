#include "agent/session/tls_decision.h"

#include <optional>

namespace mxtally {
namespace {

using enum SessionFacts::Fact;

constexpr TlsDecision kUnknown;

TlsDecision Established(v1::TlsEvidence evidence) {
  return {.state = v1::TLS_STATE_ESTABLISHED, .evidence = evidence};
}

TlsDecision Plaintext(v1::TlsEvidence evidence) {
  return {.state = v1::TLS_STATE_PLAINTEXT, .evidence = evidence};
}

TlsDecision Failed(v1::TlsEvidence evidence, v1::TlsFailure failure) {
  return {.state = v1::TLS_STATE_FAILED, .evidence = evidence, .failure = failure};
}

// Why a handshake failed that no line of its own reports.
v1::TlsFailure FailureOfAbnormalEnd(const Session& session) {
  // In wrapper mode the handshake comes before any command.
  if (session.end_place != "STARTTLS" && session.end_place != "CONNECT") {
    return v1::TLS_FAILURE_UNSPECIFIED;
  }
  switch (session.end_reason) {
    case v1::END_REASON_LOST_CONNECTION:
      return v1::TLS_FAILURE_LOST_CONNECTION;
    case v1::END_REASON_TIMEOUT:
      return v1::TLS_FAILURE_TIMEOUT;
    default:
      return v1::TLS_FAILURE_UNSPECIFIED;
  }
}

// Postfix's tls= of deliveries, Exim's X= and P=.  Nothing: no field tells.
std::optional<TlsDecision> DecideByField(SessionFacts facts, v1::TlsFailure failure) {
  if (facts.Has(kFieldEstablished)) return Established(v1::TLS_EVIDENCE_DELIVERY_FIELD);
  if (facts.Has(kFieldFailed)) return Failed(v1::TLS_EVIDENCE_DELIVERY_FIELD, failure);
  if (facts.Has(kFieldPlaintext)) return Plaintext(v1::TLS_EVIDENCE_DELIVERY_FIELD);
  return std::nullopt;
}

// Exim's fields of messages, and the commands of connections without.
TlsDecision DecideUnframed(SessionFacts facts, v1::TlsFailure failure) {
  if (const auto by_field = DecideByField(facts, failure)) return *by_field;
  if (facts.Has(kFieldNotShown) && !facts.Has(kFieldUnknown)) {
    return Plaintext(v1::TLS_EVIDENCE_NO_TLS_LINE);
  }
  // That a connection was closed does not tell what it was.
  return kUnknown;
}

TlsDecision DecideBySetupLine(SessionFacts facts, const Session& session, bool by_tlsproxy) {
  const v1::TlsFailure failure =
      by_tlsproxy ? v1::TLS_FAILURE_UNSPECIFIED : FailureOfAbnormalEnd(session);
  if (failure != v1::TLS_FAILURE_UNSPECIFIED) {
    return Failed(v1::TLS_EVIDENCE_SETUP_LINE, failure);
  }
  // Only since Postfix 3.4 tlsproxy has a line for a handshake that fails.
  if (facts.Has(by_tlsproxy ? kActivity : kDisconnected | kActivity)) {
    return Established(v1::TLS_EVIDENCE_SETUP_LINE);
  }
  return kUnknown;
}

// There is no STARTTLS command to count: whatever came through was encrypted.
TlsDecision DecideWrapperMode(SessionFacts facts) {
  if (facts.Has(kTlsRefused)) {
    return Failed(v1::TLS_EVIDENCE_IMPLICIT_TLS, v1::TLS_FAILURE_REFUSED);
  }
  if (facts.Has(kCounters) ? facts.Has(kAnyCommand) : facts.Has(kActivity)) {
    return Established(v1::TLS_EVIDENCE_IMPLICIT_TLS);
  }
  return kUnknown;
}

}  // namespace

TlsDecision DecideTlsInbound(SessionFacts facts, const Session& session, bool wrapper_mode,
                             bool by_tlsproxy) {
  const v1::TlsFailure failure = session.tls.failure;
  if (facts.Has(kTlsEstablished)) return Established(v1::TLS_EVIDENCE_HANDSHAKE_LINE);
  if (facts.Has(kStarttlsAccepted)) return Established(v1::TLS_EVIDENCE_STARTTLS_COUNTER);
  if (facts.Has(kTlsFailed)) {
    return Failed(v1::TLS_EVIDENCE_HANDSHAKE_LINE,
                  failure != v1::TLS_FAILURE_UNSPECIFIED ? failure : FailureOfAbnormalEnd(session));
  }
  if (facts.Has(kFieldEstablished | kFieldFailed | kFieldPlaintext | kFieldUnknown |
                kFieldNotShown | kRests)) {
    return DecideUnframed(facts, failure);
  }
  if (facts.Has(kStarttlsFailed)) {
    return Failed(v1::TLS_EVIDENCE_STARTTLS_COUNTER,
                  facts.Has(kTlsRefused) ? v1::TLS_FAILURE_REFUSED : FailureOfAbnormalEnd(session));
  }
  if (facts.Has(kTlsRefused) && !facts.Has(kTlsSetup | kCounters) && !wrapper_mode) {
    return Failed(v1::TLS_EVIDENCE_HANDSHAKE_LINE, v1::TLS_FAILURE_REFUSED);
  }
  if (facts.Has(kTlsSetup)) return DecideBySetupLine(facts, session, by_tlsproxy);
  if (wrapper_mode) return DecideWrapperMode(facts);
  if (facts.Has(kCounters)) return Plaintext(v1::TLS_EVIDENCE_STARTTLS_COUNTER);
  // Whoever left behind STARTTLS may have had a handshake that the log does not show.
  if (facts.Has(kDisconnected) && session.end_place != "STARTTLS") {
    return Plaintext(v1::TLS_EVIDENCE_NO_TLS_LINE);
  }
  return kUnknown;
}

bool DependsOnTlsLogging(SessionFacts facts) {
  return facts.Has(kOutcome) &&
         !facts.Has(kTlsEstablished | kTlsFailed | kTlsRefused | kFieldEstablished | kFieldFailed |
                    kFieldPlaintext | kFieldUnknown | kFieldNotShown | kDisconnected);
}

// A line of a handshake says more than a delivery's field, which says more than
// that there is no such line.  That says nothing where the log may have none.
TlsDecision DecideTlsOutbound(SessionFacts facts, v1::TlsFailure failure) {
  if (facts.Has(kTlsEstablished)) return Established(v1::TLS_EVIDENCE_HANDSHAKE_LINE);
  if (facts.Has(kTlsFailed)) return Failed(v1::TLS_EVIDENCE_HANDSHAKE_LINE, failure);
  if (facts.Has(kTlsRefused)) {
    return Failed(v1::TLS_EVIDENCE_HANDSHAKE_LINE, v1::TLS_FAILURE_REFUSED);
  }
  if (const auto by_field = DecideByField(facts, failure)) return *by_field;
  const bool depends = DependsOnTlsLogging(facts);
  if (facts.Has(kFieldNotShown) || (facts.Has(kDisconnected) && !facts.Has(kFieldUnknown)) ||
      (depends && facts.Has(kTlsWouldShow))) {
    return Plaintext(v1::TLS_EVIDENCE_NO_TLS_LINE);
  }
  return kUnknown;
}

}  // namespace mxtally
