#include "agent/session/take_delivery.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "agent/session/bounds.h"
#include "agent/session/text.h"

namespace mxtally {
namespace {

using enum SessionFacts::Fact;

constexpr size_t kDelaysMax = 32;

void TakeTrouble(const Event& event, OpenSession& open) {
  open.facts.Add(kOutcome);
  switch (event.delivery.trouble) {
    case DeliveryTrouble::kNone:
    case DeliveryTrouble::kOther:
      return;
    case DeliveryTrouble::kLostConnection:
    case DeliveryTrouble::kTimeout:
      open.fields.end_reason = event.delivery.trouble == DeliveryTrouble::kTimeout
                                   ? v1::END_REASON_TIMEOUT
                                   : v1::END_REASON_LOST_CONNECTION;
      SetText(event.place, kPlaceMax, open.fields.end_place);
      break;
    case DeliveryTrouble::kHandshakeFailed:
      open.facts.Add(kTlsFailed);
      break;
    case DeliveryTrouble::kTlsRefused:
      open.facts.Add(kTlsRefused);
      break;
    case DeliveryTrouble::kCertificateRefused:
      open.facts.Add(kTlsEstablished);
      break;
    case DeliveryTrouble::kTlsNotOffered:
      open.facts.Add(kFieldPlaintext);
      break;
    case DeliveryTrouble::kRefusedToTalk:
      break;
  }
  // Lines of further recipients follow those of a recipient.
  if (event.type == EventType::kServerGivenUp) open.facts.Add(kClosed);
}

}  // namespace

// Recipients of one request go over one connection; their lines have these delays
// in common, which another request for the same message to the same server has not.
bool IsSameDelivery(const Event& event, const OpenSession& open) {
  const std::string_view queue_delays = event.delivery.queue_delays;
  const std::string_view delays = open.delivery_delays;
  return open.delivery_queue_id == event.queue_id && delays.size() > queue_delays.size() &&
         delays.starts_with(queue_delays) && delays[queue_delays.size()] == '/' &&
         delays.substr(queue_delays.size() + 1) == event.delivery.setup_delay;
}

void TakeDelivery(absl::Time time, const Event& event, OpenSession& open) {
  const MailDelivery& delivery = event.delivery;
  Session& session = open.fields;
  if (open.connection_uses == 0 && delivery.connection_uses == 1 &&
      delivery.connection_seconds >= 0) {
    session.estimated_start_time =
        std::min(session.key.stamp, time - absl::Seconds(delivery.connection_seconds));
  }
  if (!IsSameDelivery(event, open)) open.facts.Remove(kMessageCounted);
  FollowDelivery(event, open);
  std::vector<std::string>& ids = session.queue_ids;
  if (ids.size() < kQueueIdsInRecordMax &&
      std::find(ids.begin(), ids.end(), open.delivery_queue_id) == ids.end()) {
    ids.push_back(open.delivery_queue_id);
  }
  if (delivery.sent && !open.facts.Has(kMessageCounted)) {
    ++session.messages;
    open.facts.Add(kMessageCounted);
  }
  TakeFieldTls(delivery.tls, open);
  TakeTrouble(event, open);
}

void TakeServerGivenUp(const Event& event, OpenSession& open) {
  FollowDelivery(event, open);
  TakeTrouble(event, open);
}

void FollowDelivery(const Event& event, OpenSession& open) {
  if (event.queue_id.empty() || IsSameDelivery(event, open)) return;
  if (event.type != EventType::kDelivery && open.delivery_queue_id == event.queue_id) return;
  SetText(event.queue_id, kQueueIdMax, open.delivery_queue_id);
  open.delivery_delays.clear();
  if (event.type != EventType::kDelivery) return;
  open.delivery_delays.append(event.delivery.queue_delays.substr(0, kDelaysMax)).append("/");
  open.delivery_delays.append(event.delivery.setup_delay.substr(0, kDelaysMax));
  const int uses = event.delivery.connection_uses;
  open.connection_uses = uses > 0 ? uses : open.connection_uses + 1;
}

void TakeFieldTls(DeliveryTls tls, OpenSession& open) {
  switch (tls) {
    case DeliveryTls::kNotLogged:
      break;
    case DeliveryTls::kEstablished:
      open.facts.Add(kFieldEstablished);
      break;
    case DeliveryTls::kFailed:
      open.facts.Add(kFieldFailed);
      break;
    case DeliveryTls::kPlaintext:
      open.facts.Add(kFieldPlaintext);
      break;
    case DeliveryTls::kUnknown:
      open.facts.Add(kFieldUnknown);
      break;
    case DeliveryTls::kNotShown:
      open.facts.Add(kFieldNotShown);
      break;
  }
}

}  // namespace mxtally
