#include "server/auth/roles.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "mxtally/v1/fleet.pb.h"
#include "mxtally/v1/ingest.pb.h"
#include "mxtally/v1/stats.pb.h"

namespace mxtally {
namespace {

std::string RoleOf(const std::string& path) { return std::string(RoleName(RequiredRole(path))); }

// Every method of the protocol, so that whoever adds one decides who may call it.
TEST(Roles, OfEveryMethod) {
  const std::map<std::string, std::string> expected = {
      {"/mxtally.v1.FleetService/GetHost", "reader"},
      {"/mxtally.v1.FleetService/ListHosts", "reader"},
      {"/mxtally.v1.FleetService/RetireHost", "operator"},
      {"/mxtally.v1.IngestService/StreamSessions", "agent"},
      {"/mxtally.v1.StatsService/GetTlsStats", "reader"},
  };
  std::map<std::string, std::string> found;
  for (const google::protobuf::FileDescriptor* file :
       {v1::ListHostsRequest::descriptor()->file(), v1::AgentHello::descriptor()->file(),
        v1::GetTlsStatsRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const google::protobuf::ServiceDescriptor& service = *file->service(s);
      for (int m = 0; m < service.method_count(); ++m) {
        const std::string path =
            absl::StrCat("/", service.full_name(), "/", service.method(m)->name());
        found[path] = RoleOf(path);
      }
    }
  }
  EXPECT_EQ(found, expected);
}

TEST(Roles, HealthIsOpenAndReflectionIsForReaders) {
  EXPECT_EQ(RoleOf("/grpc.health.v1.Health/Check"), "none");
  EXPECT_EQ(RoleOf("/grpc.health.v1.Health/Watch"), "none");
  EXPECT_EQ(RoleOf("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"), "reader");
  EXPECT_EQ(RoleOf("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), "reader");
}

TEST(Roles, WhatNobodyOpenedIsForOperators) {
  for (const char* path :
       {"", "/", "/mxtally.v1.AdminService/ErasePeer", "/mxtally.v1.FleetService/RetireHost",
        "/mxtally.v2.StatsService/Get", "mxtally.v1.StatsService/GetTlsStats",
        "/grpc.health.v1.HealthX/Check"}) {
    EXPECT_EQ(RoleOf(path), "operator") << path;
  }
}

TEST(Roles, OperatorsAreReadersCollectorsAreAgentsAndNobodyElseIsMore) {
  const Roles agent(Role::kAgent);
  const Roles reader(Role::kReader);
  const Roles chief(Role::kOperator);
  const Roles collector(Role::kCollector);
  for (const Roles& roles : {agent, reader, chief, collector, Roles()})
    EXPECT_TRUE(roles.Has(Role::kNone));
  EXPECT_TRUE(agent.Has(Role::kAgent));
  EXPECT_FALSE(agent.Has(Role::kCollector));
  EXPECT_TRUE(collector.Has(Role::kAgent));
  EXPECT_TRUE(collector.Has(Role::kCollector));
  EXPECT_FALSE(collector.Has(Role::kReader));
  EXPECT_FALSE(collector.Has(Role::kOperator));
  EXPECT_FALSE(chief.Has(Role::kCollector));
  EXPECT_FALSE(agent.Has(Role::kReader));
  EXPECT_FALSE(agent.Has(Role::kOperator));
  EXPECT_FALSE(reader.Has(Role::kAgent));
  EXPECT_TRUE(reader.Has(Role::kReader));
  EXPECT_FALSE(reader.Has(Role::kOperator));
  EXPECT_FALSE(chief.Has(Role::kAgent));
  EXPECT_TRUE(chief.Has(Role::kReader));
  EXPECT_TRUE(chief.Has(Role::kOperator));
  EXPECT_EQ(agent.With(Role::kReader).ToString(), "agent and reader");
}

}  // namespace
}  // namespace mxtally
