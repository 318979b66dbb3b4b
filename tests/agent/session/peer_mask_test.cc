#include "agent/session/peer_mask.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "mxtally/v1/session.pb.h"
#include "proto/timestamps/timestamps.h"

namespace mxtally {
namespace {

absl::Time Day(int month, int day) {
  return absl::FromCivil(absl::CivilDay(2026, month, day), absl::UTCTimeZone());
}

// Everything that a log can tell of a peer, in every field.
v1::SessionRecord Session() {
  v1::SessionRecord record;
  v1::SessionKey& key = *record.mutable_key();
  key.set_key_version(1);
  key.set_host("mx1");
  key.set_tag("postfix/smtpd[123]");
  SetTimestamp(Day(11, 2), *key.mutable_stamp());
  record.mutable_rank()->set_lines_used(4);
  record.set_direction(v1::DIRECTION_INBOUND);
  record.set_service("smtpd");
  record.set_peer_class(v1::PEER_CLASS_EXTERNAL);
  record.set_exclusion_list_hash(7);
  v1::TlsFacts& tls = *record.mutable_tls();
  tls.set_state(v1::TLS_STATE_FAILED);
  tls.set_evidence(v1::TLS_EVIDENCE_HANDSHAKE_LINE);
  tls.set_protocol("TLSv1.2");
  tls.set_cipher("AES256-SHA");
  tls.set_sni("mx.victim.example.co.uk");
  tls.set_failure_reason("unsupported protocol");
  v1::Peer& peer = *record.mutable_peer();
  peer.set_address("192.0.2.10");
  peer.set_name("mail.sender.example.com");
  peer.set_port(54321);
  peer.set_helo("Relay.Sender.Example.COM");
  record.set_end_place("STARTTLS");
  record.set_messages(2);
  record.set_auth_mechanism("SCRAM-SHA-256");
  record.add_queue_ids("4A1B2C3D");
  record.set_original_queue_id("9F8E7D6C");
  return record;
}

class PeerMaskTest : public testing::Test {
 protected:
  static std::unique_ptr<PeerMask> Mask(v1::PeerDetail detail,
                                        const std::vector<PeerKey>& keys = {}) {
    auto mask = PeerMask::Create(detail, keys);
    EXPECT_TRUE(mask.ok()) << mask.status();
    return mask.ok() ? *std::move(mask) : nullptr;
  }
  static v1::SessionRecord Masked(PeerMask& mask, v1::SessionRecord record) {
    mask.Apply(record);
    return record;
  }

  std::string NetworkOf(const std::string& address) {
    v1::SessionRecord record;
    record.mutable_peer()->set_address(address);
    prefix_->Apply(record);
    return record.peer().address();
  }
  std::string HeloOf(const std::string& helo) {
    v1::SessionRecord record;
    record.mutable_peer()->set_helo(helo);
    prefix_->Apply(record);
    return record.peer().helo();
  }
  std::string DomainOf(const std::string& name) {
    v1::SessionRecord record;
    record.mutable_peer()->set_name(name);
    prefix_->Apply(record);
    return record.peer().name();
  }

  const std::unique_ptr<PeerMask> prefix_ = Mask(v1::PEER_DETAIL_PREFIX);
  const std::unique_ptr<PeerMask> none_ = Mask(v1::PEER_DETAIL_NONE);
  const std::unique_ptr<PeerMask> hmac_ =
      Mask(v1::PEER_DETAIL_HMAC, {{"2026q3", Day(7, 1), std::string(32, '\x0b')},
                                  {"2026q4", Day(10, 1), std::string(32, '\x0c')}});
};

TEST_F(PeerMaskTest, WhatIsNotOfThePeerStays) {
  for (PeerMask* mask : {prefix_.get(), hmac_.get(), none_.get()}) {
    v1::SessionRecord masked = Masked(*mask, Session());
    v1::SessionRecord expected = Session();
    EXPECT_NE(masked.peer_detail(), v1::PEER_DETAIL_UNSPECIFIED);
    for (v1::SessionRecord* record : {&masked, &expected}) {
      record->clear_peer();
      record->clear_peer_detail();
      record->clear_original_queue_id();
      record->mutable_tls()->clear_sni();
    }
    EXPECT_EQ(masked.DebugString(), expected.DebugString());
  }
}

TEST_F(PeerMaskTest, NoneLeavesNothing) {
  const v1::SessionRecord masked = Masked(*none_, Session());
  EXPECT_EQ(masked.peer_detail(), v1::PEER_DETAIL_NONE);
  EXPECT_FALSE(masked.has_peer());
  EXPECT_EQ(masked.tls().sni(), "");
  EXPECT_EQ(masked.original_queue_id(), "");
}

TEST_F(PeerMaskTest, PrefixLeavesNetworksAndDomains) {
  const v1::SessionRecord masked = Masked(*prefix_, Session());
  EXPECT_EQ(masked.peer_detail(), v1::PEER_DETAIL_PREFIX);
  EXPECT_EQ(masked.peer().address(), "192.0.2.0/24");
  EXPECT_EQ(masked.peer().name(), "example.com");
  EXPECT_EQ(masked.peer().helo(), "example.com");
  EXPECT_EQ(masked.peer().port(), 0);
  EXPECT_EQ(masked.tls().sni(), "example.co.uk");
  EXPECT_EQ(masked.original_queue_id(), "");
}

TEST_F(PeerMaskTest, PrefixesOfAddresses) {
  const std::pair<const char*, const char*> rows[] = {
      {"192.0.2.10", "192.0.2.0/24"},
      {"0.0.0.0", "0.0.0.0/24"},
      {"255.255.255.255", "255.255.255.0/24"},
      {"::ffff:192.0.2.10", "192.0.2.0/24"},
      {"2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"},
      {"2001:DB8::1", "2001:db8::/48"},
      {"::1", "::/48"},
      {"64:ff9b::192.0.2.10", "64:ff9b::/48"},
      // 6to4: all 48 bits would hold the whole of 192.0.2.10.
      {"2002:c000:20a::1", "2002:c000:200::/40"},
      {"", ""},
      {"fe80::1%eth0", ""},
      {"192.0.2", ""},
      {"10.1.2.3/8", ""},
      {"/run/filter.sock", ""},
  };
  for (const auto& [address, network] : rows) EXPECT_EQ(NetworkOf(address), network) << address;
}

TEST_F(PeerMaskTest, RegistrableDomainsOfNames) {
  const std::pair<const char*, const char*> rows[] = {
      {"mail.example.com", "example.com"},
      {"example.com", "example.com"},
      {"MAIL.Example.COM.", "example.com"},
      {"a.b.c.example.co.uk", "example.co.uk"},
      {"www.city.kawasaki.jp", "city.kawasaki.jp"},
      {"a.b.example.ck", "b.example.ck"},
      {"xn--mgberp4a5d4a87g.xn--p1ai", "xn--mgberp4a5d4a87g.xn--p1ai"},
      {"host.internal.corp", "internal.corp"},
      // Private suffixes would leave the customer's address.
      {"ec2-192-0-2-10.compute-1.amazonaws.com", "amazonaws.com"},
      {"ec2-192-0-2-10.eu-west-1.compute.amazonaws.com", "amazonaws.com"},
      {"somebody.github.io", "github.io"},
      {"10.2.0.192.in-addr.arpa", "192.in-addr.arpa"},
      // Nothing that could be registered.
      {"co.uk", ""},
      {"com", ""},
      {"localhost", ""},
      {"", ""},
      {".", ""},
      {"..", ""},
      {"a..", ""},
      {"192.0.2.10", ""},
      {"192.0.2.10.", ""},
      {"0xc0.0x00.0x02.0x0a", ""},
      {"m\xc3\xbcller.example.com", ""},
      {"a b.example.com", ""},
  };
  for (const auto& [name, domain] : rows) EXPECT_EQ(DomainOf(name), domain) << name;
}

TEST_F(PeerMaskTest, HeloMayBeAnAddressOrAnything) {
  const std::pair<const char*, const char*> rows[] = {
      {"mail.example.com", "example.com"},
      {"192.0.2.10", "192.0.2.0/24"},
      {"[192.0.2.10]", "192.0.2.0/24"},
      {"[IPv6:2001:DB8::1]", "2001:db8::/48"},
      {"[ipv6:2001:db8::1]", "2001:db8::/48"},
      {"2001:db8::1", "2001:db8::/48"},
      {"[192.0.2.10", ""},
      {"[mail.example.com]", ""},
      {"ylmf-pc", ""},
      {"%00%00.example.com", ""},
      {"[", ""},
      {"[]", ""},
  };
  for (const auto& [helo, masked] : rows) EXPECT_EQ(HeloOf(helo), masked) << helo;
}

TEST_F(PeerMaskTest, LongNamesAreMaskedToo) {
  std::string labels;
  for (int i = 0; i < 120; ++i) labels += "a.";
  EXPECT_EQ(DomainOf(labels + "example.com"), "example.com");
  EXPECT_EQ(DomainOf(std::string(255, '.')), "");
}

TEST_F(PeerMaskTest, TextsThatCouldHoldANameAreLeftOut) {
  for (PeerMask* mask : {prefix_.get(), hmac_.get(), none_.get()}) {
    for (const char* text : {"error: mail.example.com said no", "192.0.2.10", "[2001:db8::1]",
                             "a=b", "m\xc3\xbcller"}) {
      v1::SessionRecord record = Session();
      record.mutable_tls()->set_failure_reason(text);
      record.set_end_place(text);
      record.set_auth_mechanism(text);
      record = Masked(*mask, record);
      EXPECT_EQ(record.tls().failure_reason(), "") << text;
      EXPECT_EQ(record.end_place(), "") << text;
      EXPECT_EQ(record.auth_mechanism(), "") << text;
    }
    for (const char* reason :
         {"unsupported protocol", "tlsv1 alert unknown ca", "(null)", "reason(1042)"}) {
      v1::SessionRecord record = Session();
      record.mutable_tls()->set_failure_reason(reason);
      EXPECT_EQ(Masked(*mask, record).tls().failure_reason(), reason);
    }
  }
}

// By `printf %s 192.0.2.10 | openssl dgst -sha256 -mac HMAC -macopt hexkey:0c0c...`.
TEST_F(PeerMaskTest, HmacIsHalfOfHmacSha256) {
  const v1::SessionRecord masked = Masked(*hmac_, Session());
  EXPECT_EQ(masked.peer_detail(), v1::PEER_DETAIL_HMAC);
  EXPECT_EQ(masked.peer().address(), "2026q4:d4acebd7afb21e26f0ad6a1f1e97813f");
  EXPECT_EQ(masked.peer().name(), "2026q4:ada8e7311604a6b21f784903622aeebd");
  EXPECT_EQ(masked.peer().helo(), "2026q4:7b893e66ae74ec02a85d5eb7659cb340");
  EXPECT_EQ(masked.tls().sni(), "2026q4:b25b380a304b5a39ab619078335b921e");
  EXPECT_EQ(masked.peer().port(), 0);
  EXPECT_EQ(masked.original_queue_id(), "");
}

TEST_F(PeerMaskTest, HmacIsTheSameForOneMeaning) {
  const v1::SessionRecord first = Masked(*hmac_, Session());
  v1::SessionRecord record = Session();
  record.mutable_peer()->set_address("::ffff:192.0.2.10");
  record.mutable_peer()->set_helo("mail.SENDER.example.com");
  record = Masked(*hmac_, record);
  EXPECT_EQ(record.peer().address(), first.peer().address());
  EXPECT_EQ(record.peer().helo(), first.peer().name());
}

TEST_F(PeerMaskTest, HmacOfNothingIsNothing) {
  v1::SessionRecord record = Session();
  record.mutable_peer()->Clear();
  record.mutable_tls()->clear_sni();
  record = Masked(*hmac_, record);
  EXPECT_TRUE(record.has_peer());
  EXPECT_EQ(record.peer().ByteSizeLong(), 0);
  EXPECT_EQ(record.tls().sni(), "");
}

TEST_F(PeerMaskTest, EpochIsThatOfTheSession) {
  const auto address_on = [this](absl::Time time) {
    v1::SessionRecord record = Session();
    SetTimestamp(time, *record.mutable_key()->mutable_stamp());
    return Masked(*hmac_, record).peer().address();
  };
  const std::string third = address_on(Day(7, 1));
  const std::string fourth = address_on(Day(10, 1));
  EXPECT_EQ(third.substr(0, 7), "2026q3:");
  EXPECT_EQ(fourth.substr(0, 7), "2026q4:");
  EXPECT_NE(third.substr(7), fourth.substr(7));
  EXPECT_EQ(address_on(Day(10, 1) - absl::Nanoseconds(1)), third);
  EXPECT_EQ(address_on(Day(12, 31)), fourth);
}

TEST_F(PeerMaskTest, BeforeTheFirstEpochNothingIsTold) {
  v1::SessionRecord record = Session();
  SetTimestamp(Day(7, 1) - absl::Nanoseconds(1), *record.mutable_key()->mutable_stamp());
  record = Masked(*hmac_, record);
  EXPECT_EQ(record.DebugString(), [this] {
    v1::SessionRecord expected = Session();
    SetTimestamp(Day(7, 1) - absl::Nanoseconds(1), *expected.mutable_key()->mutable_stamp());
    return Masked(*none_, expected).DebugString();
  }());
  EXPECT_EQ(record.peer_detail(), v1::PEER_DETAIL_NONE);
}

}  // namespace
}  // namespace mxtally
