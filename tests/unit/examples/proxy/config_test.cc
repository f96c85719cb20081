#include "examples/proxy/config.h"

#include <gtest/gtest.h>

#include <string>

#include "fastcontainer.h"

namespace proxy {
namespace {

std::string ErrorOf(const std::string& text) {
  std::string error;
  return ParseConfig(text, &error) ? "" : error;
}

TEST(Config, LeastOneIsAddressAndCmdb) {
  std::string error;
  const auto config = ParseConfig(R"({"listen":"0.0.0.0:8080","cmdb":"memory:"})", &error);
  ASSERT_TRUE(config) << error;
  EXPECT_EQ(FormatAddress(config->listen), "0.0.0.0:8080");
  EXPECT_EQ(config->log, "-");
  EXPECT_EQ(config->timeouts.response, 60000u);
  EXPECT_FALSE(config->dispatcher);
}

TEST(Config, EveryFieldIsRead) {
  std::string error;
  const auto config = ParseConfig(
      R"({"listen":"[::1]:80","admin":"127.0.0.1:9901","cmdb":"memory:","cluster_key_file":"k","name":"n",
          "bind":"127.0.0.1:7071","trusted":["10.0.0.0/8","::1"],"proxy_protocol":true,"peers":["127.0.0.2:7071"],"confirm":2,"witnesses":["192.0.2.1","2001:db8::1"],"profile":"paper","admission":"solo","prepare":false,"no_relocation":true,
          "freshness_ms":1,"guard_ms":2,"service_deadline_ms":3,"log":{"path":"off","level":"error"},
          "timeouts":{"header_ms":1,"body_ms":2,"send_ms":3,"idle_ms":4,"connect_ms":5,"response_ms":6,
            "upstream_idle_ms":7,"hold_ms":11,"tunnel_ms":10,"wait_ms":8,"start_ms":9,"drain_ms":0},
          "limits":{"connections":1,"upstream_idle":2,"queue_per_container":3,"queue_total":4,
            "relocations_per_second":5,"relocation_burst":6},
          "dispatcher":{"host":"h1","address":"127.0.0.1","port":7070,"state_directory":"/s","log_directory":"/l",
            "runtime":"process","max_starts":1,"max_containers":2,"cpu":1.5,"memory":1000,
            "container_ports":{"first":1,"last":2},"labels":{"zone":"a"}}})",
      &error);
  ASSERT_TRUE(config) << error;
  EXPECT_EQ(FormatAddress(config->listen), "[::1]:80");
  EXPECT_TRUE(config->paper);
  EXPECT_TRUE(config->proxy_protocol);
  EXPECT_FALSE(config->trusted.empty());
  EXPECT_EQ(config->timeouts.tunnel, 10u);
  EXPECT_EQ(config->timeouts.hold, 11u);
  EXPECT_FALSE(config->prepare);
  EXPECT_EQ(config->admission, FC_ADMISSION_SOLO);
  EXPECT_EQ(config->witnesses.size(), 2u);
  EXPECT_EQ(config->log_level, 3);
  EXPECT_EQ(config->timeouts.start, 9u);
  EXPECT_EQ(config->limits.relocation_burst, 6u);
  ASSERT_TRUE(config->dispatcher);
  EXPECT_EQ(config->dispatcher->labels, R"({"zone":"a"})");
  EXPECT_EQ(config->dispatcher->port_last, 2u);
}

TEST(Config, ErrorsNameTheField) {
  const std::string good = R"("listen":"0.0.0.0:8080","cmdb":"memory:")";
  const struct {
    const char* fields;
    const char* named;
  } kCases[] = {
      {R"("trusted":["10.0.0.1/8"])", "trusted"},
      {R"("trusted":["localhost"])", "trusted"},
      {R"("trusted":"10.0.0.0/8")", "trusted"},
      {R"("proxy_protocol":true)", "proxy_protocol"},
      {R"("nonsense":1)", "nonsense"},
      {R"("cmdb":7)", "cmdb"},
      {R"("name":"a","name":"b")", "name"},
      {R"("admin":"192.0.2.1:80")", "admin"},
      {R"("admin":"localhost:80")", "admin"},
      {R"("profile":"fast")", "profile"},
      {R"("admission":"vote")", "admission"},
      {R"("admission":"confirm")", "peers"},
      {R"("admission":"heartbeat","profile":"paper")", "admission"},
      {R"("bind":"localhost")", "bind"},
      {R"("witnesses":["router"])", "witnesses"},
      {R"("witnesses":{})", "witnesses"},
      {R"("freshness_ms":-1)", "freshness_ms"},
      {R"("timeouts":{"response_ms":"1"})", "timeouts.response_ms"},
      {R"("timeouts":{"respond_ms":1})", "timeouts.respond_ms"},
      {R"("limits":{"connections":0})", "limits.connections"},
      {R"("log":{"level":"loud"})", "log.level"},
      {R"("log":{"path":""})", "log.path"},
      {R"("fixed_upstream":"127.0.0.1:80")", "fixed_upstream"},
      {R"("dispatcher":{"state_directory":"/s"})", "dispatcher.host"},
      {R"("dispatcher":{"host":"h"})", "dispatcher.state_directory"},
      {R"("dispatcher":{"host":"h","state_directory":"/s","labels":{"a":1}})", "dispatcher.labels.a"},
      {R"("dispatcher":{"host":"h","state_directory":"/s","container_ports":{"first":2,"last":1}})",
       "dispatcher.container_ports"},
  };
  for (const auto& one : kCases) {
    const std::string error = ErrorOf("{" + good + "," + one.fields + "}");
    EXPECT_NE(error.find(one.named), std::string::npos) << one.fields << " gave: " << error;
    EXPECT_EQ(error.find('\n'), std::string::npos);
  }
}

TEST(Config, WorkersAndTakeoverHaveTheirLimits) {
  EXPECT_NE(ErrorOf(R"({"listen":"0.0.0.0:80","cmdb":"memory:","workers":0})").find("workers"),
            std::string::npos);
  EXPECT_NE(ErrorOf(R"({"listen":"0.0.0.0:80","cmdb":"memory:","workers":61})").find("workers"),
            std::string::npos);
  EXPECT_NE(
      ErrorOf(R"({"listen":"0.0.0.0:80","cmdb":"memory:","takeover":"/)" + std::string(100, 'x') + R"("})")
          .find("takeover"),
      std::string::npos);
  const std::string bound = R"({"listen":"0.0.0.0:80","cmdb":"memory:","takeover":"/t","bind":"127.0.0.1)";
  EXPECT_NE(ErrorOf(bound + R"(:7071"})").find("takeover"), std::string::npos);
  EXPECT_EQ(ErrorOf(bound + R"("})"), "");
}

TEST(Config, AWorkerHasItsOwnOfWhatCannotBeShared) {
  std::string error;
  const auto config = ParseConfig(
      R"({"listen":"0.0.0.0:80","admin":"127.0.0.1:9901","cmdb":"memory:","workers":2,"bind":"127.0.0.1:7071",
          "name":"n","snapshot":"/s"})",
      &error);
  ASSERT_TRUE(config) << error;
  const Config second = ForWorker(*config, 1);
  EXPECT_EQ(FormatAddress(second.listen), "0.0.0.0:80");
  EXPECT_EQ(FormatAddress(second.admin), "127.0.0.1:9902");
  EXPECT_EQ(second.bind, "127.0.0.1:7072");
  EXPECT_EQ(second.snapshot, "/s.1");
  EXPECT_NE(second.name, "n");
  EXPECT_EQ(ForWorker(*config, 0).snapshot, "/s");
}

TEST(Config, WhatIsRequiredIsSaid) {
  EXPECT_NE(ErrorOf("{}").find("listen"), std::string::npos);
  EXPECT_NE(ErrorOf(R"({"listen":"0.0.0.0:80"})").find("cmdb"), std::string::npos);
  EXPECT_NE(ErrorOf("[]"), "");
  EXPECT_NE(ErrorOf("{"), "");
  EXPECT_NE(ErrorOf(""), "");
}

TEST(Config, AddressesAreNumericWithAPort) {
  sockaddr_storage address;
  for (const char* text : {"1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:1x", "::1:80",
                           "[::1]80", "a:80", ":80"}) {
    EXPECT_FALSE(ParseAddress(text, &address)) << text;
  }
  EXPECT_TRUE(ParseAddress("[::1]:80", &address));
  EXPECT_TRUE(IsLoopback(address));
  EXPECT_TRUE(ParseAddress("127.1.2.3:80", &address));
  EXPECT_TRUE(IsLoopback(address));
  EXPECT_TRUE(ParseAddress("128.0.0.1:80", &address));
  EXPECT_FALSE(IsLoopback(address));
}

}  // namespace
}  // namespace proxy
