#include "fastcontainer/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(Records, KeyRoundTrips) {
  const absl::StatusOr<Key> key = DecodeKey(R"({"container":"site-42"})");
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->container, "site-42");
  const absl::StatusOr<Key> again = DecodeKey(EncodeKey(*key));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->container, "site-42");
}

TEST(Records, PlacementKeepsEverythingOverARewrite) {
  const absl::StatusOr<Placement> placement = DecodePlacement(R"({"v":1,
      "replicas":[{"i":0,"epoch":7,"host":"h12","op":"a-uuid","later":{"x":[1,2]}}],
      "unfenced":[{"i":0,"epoch":6,"host":"h7","incarnation":5,"since":3}],
      "spec_revision":"9","by":"proxy-42","reason":"host-down","at_ms":12,"state":"placed","site":"tokyo"})");
  ASSERT_TRUE(placement.ok()) << placement.status();
  const absl::StatusOr<Placement> again = DecodePlacement(EncodePlacement(*placement));
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_NE(again->Find(0), nullptr);
  EXPECT_EQ(again->Find(1), nullptr);
  EXPECT_EQ(again->Find(0)->epoch, 7u);
  EXPECT_EQ(again->Find(0)->host, "h12");
  EXPECT_EQ(again->Find(0)->op, "a-uuid");
  EXPECT_EQ(again->Find(0)->unknown, R"({"later":{"x":[1,2]}})");
  ASSERT_EQ(again->unfenced.size(), 1u);
  EXPECT_EQ(again->unfenced[0].host, "h7");
  EXPECT_EQ(again->unfenced[0].incarnation, 5u);
  EXPECT_EQ(again->unfenced[0].unknown, R"({"since":3})");
  EXPECT_EQ(again->spec_revision, "9");
  EXPECT_EQ(again->by, "proxy-42");
  EXPECT_EQ(again->reason, "host-down");
  EXPECT_EQ(again->at_ms, 12);
  EXPECT_FALSE(again->deleted);
  EXPECT_EQ(again->unknown, R"({"site":"tokyo"})");
}

TEST(Records, ATombstoneNeedsNoReplicas) {
  const absl::StatusOr<Placement> placement = DecodePlacement(R"({"v":1,"state":"deleted"})");
  ASSERT_TRUE(placement.ok()) << placement.status();
  EXPECT_TRUE(placement->deleted);
  EXPECT_THAT(EncodePlacement(*placement), HasSubstr(R"("state":"deleted")"));
}

TEST(Records, HostKeepsEverythingOverARewrite) {
  const absl::StatusOr<Host> host = DecodeHost(R"({"v":1,"incarnation":3,"address":"10.1.0.12",
      "dispatcher_port":7070,"capacity":{"cpu":8,"memory":1024,"gpu":2},"labels":{"zone":"a"},
      "admin":"drain","rack":7})");
  ASSERT_TRUE(host.ok()) << host.status();
  const absl::StatusOr<Host> again = DecodeHost(EncodeHost(*host));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->incarnation, 3u);
  EXPECT_EQ(again->address, "10.1.0.12");
  EXPECT_EQ(again->dispatcher_port, 7070);
  EXPECT_EQ(again->cpu, 8);
  EXPECT_EQ(again->memory, 1024u);
  EXPECT_THAT(again->labels, ElementsAre(Pair("zone", "a")));
  EXPECT_EQ(again->admin, AdminState::kDrain);
  EXPECT_EQ(again->unknown, R"({"capacity":{"gpu":2},"rack":7})");
}

TEST(Records, SpecReadsEveryField) {
  const absl::StatusOr<Spec> spec = DecodeSpec(R"({"v":1,"command":["/bin/app","--port","$PORT"],
      "environment":{"A":"b"},"directory":"/srv","port":8080,"concurrency":4,
      "limits":{"cpu":1.5,"memory":536870912},"probe":{"deadline_ms":20,"deadline_max_ms":50,"hedge_ms":[2.5,5]},
      "ready":{"http":"/health","timeout_s":1.5},"keep_alive":{"idle_s":60,"life_s":3600},"stop":{"grace_s":2},
      "scale":{"min":1,"max":1},"writers":"single","note":"ignored"})",
                                               "");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->class_name, "");
  EXPECT_THAT(spec->command, ElementsAre("/bin/app", "--port", "$PORT"));
  EXPECT_THAT(spec->environment, ElementsAre(Pair("A", "b")));
  EXPECT_EQ(spec->directory, "/srv");
  EXPECT_EQ(spec->port, 8080);
  EXPECT_EQ(spec->concurrency, 4u);
  EXPECT_EQ(spec->limits.cpu, 1.5);
  EXPECT_EQ(spec->limits.memory, 536870912u);
  EXPECT_EQ(spec->probe_deadline, 20 * kMillisecond);
  EXPECT_EQ(spec->probe_deadline_max, 50 * kMillisecond);
  EXPECT_THAT(spec->probe_hedge, ElementsAre(2500 * kMicrosecond, 5 * kMillisecond));
  EXPECT_EQ(spec->ready_http, "/health");
  EXPECT_EQ(spec->ready_timeout, 1500 * kMillisecond);
  EXPECT_EQ(spec->idle, 60 * kSecond);
  EXPECT_EQ(spec->life, 3600 * kSecond);
  EXPECT_EQ(spec->stop_grace, 2 * kSecond);
  EXPECT_EQ(spec->scale_min, 1u);
  EXPECT_EQ(spec->scale_max, 1u);
  EXPECT_EQ(spec->writers, Writers::kSingle);
}

TEST(Records, HeartbeatsNameAnIncarnation) {
  EXPECT_EQ(*DecodeHeartbeat(EncodeHeartbeat(7)), 7u);
  EXPECT_EQ(*DecodeHeartbeat(R"({"incarnation":3,"more":true})"), 3u);
  EXPECT_FALSE(DecodeHeartbeat("{}").ok());
  EXPECT_FALSE(DecodeHeartbeat(R"({"incarnation":-1})").ok());
}

TEST(Records, SpecLeavesDefaultsWhereItIsSilent) {
  const absl::StatusOr<Spec> spec = DecodeSpec(R"({"command":["app"]})", "");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->concurrency, Spec().concurrency);
  EXPECT_EQ(spec->idle, Spec().idle);
  EXPECT_EQ(spec->probe_hedge, Spec().probe_hedge);
}

TEST(Records, ConcurrencyZeroIsUnlimited) {
  const absl::StatusOr<Spec> spec = DecodeSpec(R"({"command":["app"],"concurrency":0})", "");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->concurrency, kMaxConcurrency);
}

TEST(Records, SpecWinsOverItsClassFieldByField) {
  constexpr std::string_view kClass = R"({"v":1,"command":["php"],"environment":{"A":"class","B":"class"},
      "limits":{"cpu":1,"memory":100},"ready":{"http":"/","timeout_s":5}})";
  const absl::StatusOr<Spec> spec =
      DecodeSpec(R"({"class":"wordpress","environment":{"A":"spec"},"limits":{"memory":200}})", kClass);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->class_name, "wordpress");
  EXPECT_THAT(spec->command, ElementsAre("php"));
  EXPECT_THAT(spec->environment, ElementsAre(Pair("A", "spec"), Pair("B", "class")));
  EXPECT_EQ(spec->limits.cpu, 1);
  EXPECT_EQ(spec->limits.memory, 200u);
  EXPECT_EQ(spec->ready_http, "/");
}

TEST(Records, SpecMayChooseTheOtherReadinessThanItsClass) {
  const absl::StatusOr<Spec> tcp =
      DecodeSpec(R"({"class":"c","ready":{"tcp":true}})", R"({"command":["a"],"ready":{"http":"/up"}})");
  ASSERT_TRUE(tcp.ok()) << tcp.status();
  EXPECT_EQ(tcp->ready_http, "");
  const absl::StatusOr<Spec> http =
      DecodeSpec(R"({"class":"c","ready":{"http":"/up"}})", R"({"command":["a"],"ready":{"tcp":true}})");
  ASSERT_TRUE(http.ok()) << http.status();
  EXPECT_EQ(http->ready_http, "/up");
}

TEST(Records, AnErrorInTheClassNamesTheClass) {
  const absl::StatusOr<Spec> spec = DecodeSpec(R"({"class":"wordpress"})", R"({"command":"php"})");
  EXPECT_THAT(Message(spec.status()), HasSubstr(R"(class "wordpress": field "command": expected an array)"));
  EXPECT_THAT(Message(CheckClass(R"({"class":"x"})")), HasSubstr("a class has no class of its own"));
}

TEST(Records, AnErrorCanNameItsRecord) {
  const absl::StatusOr<Spec> spec = DecodeSpec(R"({"command":["a"],"ready":{"http":5}})", "");
  EXPECT_EQ(Message(InRecord(RecordKind::kSpec, "site-42", spec.status())),
            R"(spec "site-42": field "ready.http": expected a path that starts with "/", got 5)");
  EXPECT_TRUE(InRecord(RecordKind::kSpec, "site-42", absl::OkStatus()).ok());
}

TEST(Records, SpecClassIsReadWithoutItsClass) {
  const absl::StatusOr<std::string> name = SpecClass(R"({"v":1,"class":"wordpress"})");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(*name, "wordpress");
  EXPECT_EQ(SpecClass("{}").value(), "");
  EXPECT_FALSE(SpecClass(R"({"class":""})").ok());
}

struct BadInput {
  std::string text;
  std::string message;
};

TEST(Records, BadSpecsAreRefusedByName) {
  const std::vector<BadInput> table = {
      {"", "not valid JSON"},
      {"{", "not valid JSON at byte"},
      {"[]", "expected a JSON object, got []"},
      {"{} x", "not valid JSON"},
      {"{\"command\":[\"\xff\"]}", "not valid JSON"},
      {R"({})", R"(field "command": expected an array of strings, got nothing)"},
      {R"({"v":2,"command":["a"]})", R"(field "v": expected 1, got 2)"},
      {R"({"v":"1","command":["a"]})", R"(field "v": expected 1, got "1")"},
      {R"({"command":"run me"})", R"(field "command": expected an array of strings)"},
      {R"({"command":[]})", R"(field "command")"},
      {R"({"command":[""]})", R"(field "command")"},
      {R"({"command":["a",1]})", R"(field "command")"},
      {R"({"command":["a\u0000b"]})", R"(field "command")"},
      {R"({"command":["a"],"command":["b"]})", R"(field "command" appears twice in one object)"},
      {R"({"command":["a"],"limits":{"cpu":1,"cpu":2}})", R"(field "cpu" appears twice in one object)"},
      {R"({"command":["a"],"environment":{"A":1}})", R"(field "environment.A": expected a string)"},
      {R"({"command":["a"],"environment":{"A=B":"c"}})", R"(field "environment.A=B")"},
      {R"({"command":["a"],"environment":[]})", R"(field "environment": expected an object of strings)"},
      {R"({"command":["a"],"directory":"srv"})", R"(field "directory": expected an absolute path)"},
      {R"({"command":["a"],"port":65536})",
       R"(field "port": expected an integer from 0 to 65535, got 65536)"},
      {R"({"command":["a"],"port":-1})", R"(field "port": expected an integer from 0 to 65535, got -1)"},
      {R"({"command":["a"],"port":80.0})", R"(field "port": expected an integer from 0 to 65535, got 80.0)"},
      {R"({"command":["a"],"port":null})", R"(field "port")"},
      {R"({"command":["a"],"concurrency":1000001})", R"(field "concurrency": expected an integer from 0 to)"},
      {R"({"command":["a"],"limits":5})", R"(field "limits": expected an object, got 5)"},
      {R"({"command":["a"],"limits":{"cpu":-1}})", R"(field "limits.cpu": expected a number from 0)"},
      {R"({"command":["a"],"limits":{"memory":"1g"}})", R"(field "limits.memory": expected an integer)"},
      {R"({"command":["a"],"probe":{"deadline_ms":0}})", R"(field "probe.deadline_ms": expected a number)"},
      {R"({"command":["a"],"probe":{"deadline_max_ms":5}})", R"(field "probe.deadline_max_ms")"},
      {R"({"command":["a"],"probe":{"hedge_ms":3}})", R"(field "probe.hedge_ms": expected at most 2)"},
      {R"({"command":["a"],"probe":{"hedge_ms":[1,2,3]}})", R"(field "probe.hedge_ms")"},
      {R"({"command":["a"],"ready":{"http":"up"}})", R"(field "ready.http": expected a path)"},
      {R"({"command":["a"],"ready":{"http":"/a b"}})", R"(field "ready.http")"},
      {R"({"command":["a"],"ready":{"http":"/a\r\nX: y"}})", R"(field "ready.http")"},
      {R"({"command":["a"],"ready":{"tcp":false}})", R"(field "ready.tcp": expected true, got false)"},
      {R"({"command":["a"],"ready":{"tcp":true,"http":"/"}})", "not both"},
      {R"({"command":["a"],"ready":{"timeout_s":0}})", R"(field "ready.timeout_s")"},
      {R"({"command":["a"],"keep_alive":{"idle_s":-1}})", R"(field "keep_alive.idle_s")"},
      {R"({"command":["a"],"keep_alive":{"life_s":"1"}})", R"(field "keep_alive.life_s")"},
      {R"({"command":["a"],"stop":{"grace_s":"1"}})", R"(field "stop.grace_s")"},
      {R"({"command":["a"],"scale":{"max":0}})", R"(field "scale.max")"},
      {R"({"command":["a"],"scale":{"min":2}})", R"(field "scale.min": expected an integer from 0 to 1)"},
      {R"({"command":["a"],"writers":"many"})",
       R"(field "writers": expected "multi" or "single", got "many")"},
      {R"({"command":["a"],"class":"a b"})", R"(field "class": expected a name)"},
  };
  for (const BadInput& bad : table) {
    const absl::StatusOr<Spec> spec = DecodeSpec(bad.text, "");
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument) << bad.text;
    EXPECT_THAT(Message(spec.status()), HasSubstr(bad.message)) << bad.text;
  }
}

TEST(Records, WhatLaterVersionsAddIsUnimplementedNotMisread) {
  const std::vector<BadInput> table = {
      {R"({"command":["a"],"scale":{"max":2}})",
       R"(field "scale.max": 2 is not supported yet; accepted is 1)"},
      {R"({"command":["a"],"scale":{"min":2,"max":3}})", R"(field "scale.max": 3 is not supported yet)"},
  };
  for (const BadInput& later : table) {
    const absl::StatusOr<Spec> spec = DecodeSpec(later.text, "");
    EXPECT_EQ(spec.status().code(), absl::StatusCode::kUnimplemented) << later.text;
    EXPECT_THAT(Message(spec.status()), HasSubstr(later.message)) << later.text;
    EXPECT_EQ(CheckClass(later.text).code(), absl::StatusCode::kUnimplemented) << later.text;
    EXPECT_EQ(DecodeSpec(R"({"class":"c"})", later.text).status().code(), absl::StatusCode::kUnimplemented);
  }
}

TEST(Records, BadPlacementsAreRefusedByName) {
  const std::vector<BadInput> table = {
      {R"({"v":1})", R"(field "replicas": expected an array of objects, got nothing)"},
      {R"({"v":3,"replicas":[]})", R"(field "v": expected 1, got 3)"},
      {R"({"replicas":{}})", R"(field "replicas": expected an array of objects, got {})"},
      {R"({"replicas":[1]})", R"(field "replicas[0]": expected an object, got 1)"},
      {R"({"replicas":[{"epoch":1,"host":"h"}]})", R"(field "replicas[0].i")"},
      {R"({"replicas":[{"i":0,"host":"h"}]})", R"(field "replicas[0].epoch")"},
      {R"({"replicas":[{"i":0,"epoch":0,"host":"h"}]})",
       R"(field "replicas[0].epoch": expected an integer from 1)"},
      {R"({"replicas":[{"i":0,"epoch":1}]})",
       R"(field "replicas[0].host": expected a host's name, got nothing)"},
      {R"({"replicas":[{"i":0,"epoch":1,"host":""}]})", R"(field "replicas[0].host")"},
      {R"({"replicas":[{"i":0,"epoch":1,"host":"h"},{"i":0,"epoch":2,"host":"g"}]})",
       R"(field "replicas[1].i": the placement has another replica of this index)"},
      {R"({"replicas":[],"unfenced":[{"i":0,"epoch":1}]})", R"(field "unfenced[0].host")"},
      {R"({"replicas":[],"state":"gone"})", R"(field "state": expected "placed" or "deleted", got "gone")"},
      {R"({"replicas":[],"at_ms":-1})", R"(field "at_ms")"},
      {R"({"replicas":[],"by":1})", R"(field "by": expected a string)"},
  };
  for (const BadInput& bad : table) {
    const absl::StatusOr<Placement> placement = DecodePlacement(bad.text);
    EXPECT_EQ(placement.status().code(), absl::StatusCode::kInvalidArgument) << bad.text;
    EXPECT_THAT(Message(placement.status()), HasSubstr(bad.message)) << bad.text;
  }
}

TEST(Records, BadHostsAndKeysAreRefusedByName) {
  const std::vector<BadInput> hosts = {
      {R"({"dispatcher_port":1})", R"(field "address": expected a numeric IPv4 or IPv6 address)"},
      {R"({"address":"h1","dispatcher_port":1})", R"(field "address")"},
      {R"({"address":"10.0.0.1:80","dispatcher_port":1})", R"(field "address")"},
      {R"({"address":"10.0.0.1"})", R"(field "dispatcher_port": expected an integer from 1 to 65535)"},
      {R"({"address":"10.0.0.1","dispatcher_port":0})", R"(field "dispatcher_port")"},
      {R"({"address":"10.0.0.1","dispatcher_port":1,"admin":"off"})",
       R"(field "admin": expected "up", "drain" or "down", got "off")"},
      {R"({"address":"10.0.0.1","dispatcher_port":1,"labels":{"zone":1}})", R"(field "labels.zone")"},
      {R"({"address":"10.0.0.1","dispatcher_port":1,"capacity":{"cpu":"8"}})", R"(field "capacity.cpu")"},
  };
  for (const BadInput& bad : hosts) {
    EXPECT_THAT(Message(DecodeHost(bad.text).status()), HasSubstr(bad.message)) << bad.text;
  }
  EXPECT_THAT(Message(DecodeKey("{}").status()), HasSubstr(R"(field "container")"));
  EXPECT_THAT(Message(DecodeKey(R"({"container":""})").status()), HasSubstr(R"(field "container")"));
}

TEST(Records, DepthAndSizeAreLimited) {
  const std::string deep = R"({"command":["a"],"x":)" + std::string(20, '[') + std::string(20, ']') + "}";
  EXPECT_THAT(Message(DecodeSpec(deep, "").status()), HasSubstr("nested deeper than 16 levels"));
  const std::string long_text = R"({"command":["a"],"x":")" + std::string(70'000, 'x') + "\"}";
  EXPECT_THAT(Message(DecodeSpec(long_text, "").status()), HasSubstr("longer than 65536 bytes"));
  const std::string bomb(60'000, '[');
  EXPECT_FALSE(DecodePlacement(bomb).ok());
}

TEST(Records, AnErrorShowsOnlyTheBeginningOfALongValue) {
  const std::string text = R"({"command":["a"],"directory":")" + std::string(5'000, 'x') + "\"}";
  const absl::StatusOr<Spec> spec = DecodeSpec(text, "");
  EXPECT_LT(spec.status().message().size(), 200u);
  EXPECT_THAT(Message(spec.status()), HasSubstr("xxx..."));
}

}  // namespace
}  // namespace fastcontainer
