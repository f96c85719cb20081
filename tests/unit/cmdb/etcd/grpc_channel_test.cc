// Servers that break the rules, and what gRPC allows that etcd seldom does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "lib/cmdb/etcd/etcd.h"
#include "tests/unit/cmdb/cmdb_fixture.h"
#include "tests/unit/cmdb/etcd/fake_server.h"

namespace fastcontainer::etcd {
namespace {

using ::testing::HasSubstr;

const std::string kHello = Frame(kSettings, 0, 0, "");

class EtcdGrpc : public ::testing::Test {
 protected:
  using Answer = std::function<std::string(uint32_t stream)>;
  void Serve(std::string greeting, Answer answer) {
    server_ = std::make_unique<FakeServer>(*reactor_, std::move(greeting), std::move(answer));
    cmdb_ = EtcdCmdb::Open(server_->url(), *reactor_).value();
  }
  absl::StatusOr<Record> Get() { return GetNow(*reactor_, *cmdb_, "/p/a"); }
  TxnResult Txn() { return TxnNow(*reactor_, *cmdb_, {}, {Put("/p/a", "1")}); }
  // What etcd answers to a read of /p/a.
  static std::string Range(uint32_t stream) {
    return Message(stream, absl::HexStringToBytes("0a041803200212110a042f702f611002180220012a0131"
                                                  "30002001"));
  }

  std::unique_ptr<EpollReactor> reactor_ = EpollReactor::Create().value();
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<Cmdb> cmdb_;
};

TEST_F(EtcdGrpc, AnAnswerIsAMessageAndItsTrailers) {
  Serve(kHello, [](uint32_t stream) { return Response(stream) + Range(stream) + Trailers(stream, "0"); });
  const absl::StatusOr<Record> record = Get();
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->value, "1");
  EXPECT_EQ(record->revision, 2u);
}

TEST_F(EtcdGrpc, AMessageMayComeInSingleBytes) {
  Serve(kHello, [](uint32_t stream) {
    std::string out = Response(stream);
    for (const char c : Range(stream).substr(9)) out += Frame(kData, 0, stream, std::string(1, c));
    return out + Trailers(stream, "0");
  });
  EXPECT_EQ(Get()->value, "1");
}

TEST_F(EtcdGrpc, TrailersAloneAreAnError) {
  Serve(kHello, [](uint32_t stream) {
    return Frame(kHeaders, 0x5, stream,
                 "\x88" + Field("content-type", "application/grpc") + Field("grpc-status", "11") +
                     Field("grpc-message", "100%25 gone%2"));
  });
  EXPECT_EQ(Get().status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(Get().status().message()), HasSubstr("100% gone%2"));
}

TEST_F(EtcdGrpc, AnErrorOfATransactionIsUnknownUnlessItTellsThatNothingWasDone) {
  std::string status = "14";
  std::string message = "etcdserver: request timed out";
  Serve(kHello, [&](uint32_t stream) { return Response(stream) + Trailers(stream, status, message); });
  EXPECT_EQ(Txn().outcome, TxnOutcome::kUnknown);
  status = "7";
  message = "permission denied";
  const TxnResult denied = Txn();
  EXPECT_EQ(denied.outcome, TxnOutcome::kUnavailable);
  EXPECT_THAT(denied.error, HasSubstr("permission denied"));
  status = "99";
  EXPECT_EQ(Txn().outcome, TxnOutcome::kUnavailable);  // as 16, unauthenticated
}

TEST_F(EtcdGrpc, AStreamThatIsRefusedWasNotLookedAt) {
  Serve(kHello, [](uint32_t stream) { return Frame(kRstStream, 0, stream, Number32(7)); });
  EXPECT_EQ(Txn().outcome, TxnOutcome::kUnavailable);
}

TEST_F(EtcdGrpc, WhatGoAwaySaysWasNotLookedAtGoesToTheNextConnection) {
  int requests = 0;
  Serve(kHello, [&requests](uint32_t stream) {
    if (++requests == 1) return Frame(kGoAway, 0, 0, Number32(0) + Number32(0) + "bye");
    return Response(stream) + Range(stream) + Trailers(stream, "0");
  });
  // For the only member there is: the second connection comes after a pause.
  const Nanos end = reactor_->Now() + kPatience;
  while (!Get().ok() && reactor_->Now() < end) {
  }
  EXPECT_GE(server_->connections(), 2);
  EXPECT_EQ(Get()->value, "1");
}

TEST_F(EtcdGrpc, MalformedAnswersAreErrorsAndNothingElse) {
  const std::string compressed = std::string("\1\0\0\0\1x", 6);
  const std::vector<std::function<std::string(uint32_t)>> answers = {
      [](uint32_t s) { return Response(s) + Trailers(s, "0"); },
      [](uint32_t s) { return Response(s) + Message(s, "\x0a\xff\xff\xff\xff\x7f") + Trailers(s, "0"); },
      [&](uint32_t s) { return Response(s) + Frame(kData, 0, s, compressed) + Trailers(s, "0"); },
      [](uint32_t s) { return Response(s) + Frame(kData, 0, s, "\xff") + Trailers(s, "0"); },
      [](uint32_t s) { return Response(s) + Frame(kData, 1, s, ""); },
      [](uint32_t s) { return Frame(kHeaders, 0x5, s, "\x88" + Field("content-type", "text/html")); },
      [](uint32_t s) { return Frame(kHeaders, 0x5, s, Field(":status", "503")); },
      [](uint32_t s) { return Frame(kHeaders, 0x4, s, "\xff\xff\xff\xff\xff\xff\xff"); },
      [](uint32_t s) { return Frame(kData, 0, s, "before the headers"); },
      [](uint32_t s) { return Frame(kData, 0, s + 2, "of a stream that is not open"); },
      [](uint32_t) { return std::string(4'096, '\xff'); },
  };
  for (size_t i = 0; i < answers.size(); ++i) {
    Serve(kHello, answers[i]);
    const absl::Status status = Get().status();
    EXPECT_FALSE(status.ok()) << i;
    EXPECT_THAT(std::string(status.message()), HasSubstr("etcd")) << i;
    const TxnResult result = Txn();
    EXPECT_TRUE(result.outcome == TxnOutcome::kUnknown || result.outcome == TxnOutcome::kUnavailable) << i;
    EXPECT_NE(result.error, "") << i;
  }
}

TEST_F(EtcdGrpc, WhoeverDoesNotSpeakHttp2IsNamed) {
  for (const std::string greeting : {"HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail ESMTP\r\n",
                                     "\x15\x03\x01\x00\x02\x02\x46\x15\x03\x01\x00\x02\x02\x46"}) {
    Serve(greeting, [](uint32_t) { return ""; });
    const absl::Status status = Get().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr(server_->url().substr(7)));
  }
}

TEST_F(EtcdGrpc, AServerThatNeverSpeaksIsGivenUp) {
  Serve("", [](uint32_t) { return ""; });
  EXPECT_THAT(std::string(Get().status().message()), HasSubstr("no HTTP/2 server in time"));
}

TEST_F(EtcdGrpc, AServerThatFallsSilentIsFoundOutByPing) {
  Serve(kHello, [](uint32_t) { return ""; });
  server_->acknowledges_pings = false;
  EXPECT_THAT(std::string(Get().status().message()), HasSubstr("silent, also to a PING"));
}

TEST_F(EtcdGrpc, AServerThatIsSlowButAnswersPingsIsWaitedFor) {
  uint32_t asked = 0;
  Serve(kHello, [&asked](uint32_t stream) {
    asked = stream;
    return "";
  });
  EXPECT_THAT(std::string(Get().status().message()), HasSubstr("no answer before the deadline"));
  EXPECT_EQ(server_->connections(), 1);
  EXPECT_NE(asked, 0u);
}

TEST_F(EtcdGrpc, ACancelledCallIsResetAndItsConnectionStays) {
  int requests = 0;
  Serve(kHello, [&requests](uint32_t stream) {
    if (++requests == 1) return std::string();
    return Response(stream) + Range(stream) + Trailers(stream, "0");
  });
  const Cmdb::OpId id =
      cmdb_->Get("/p/a", ReadMode::kLinearizable, [](const auto&) { FAIL() << "was cancelled"; });
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return requests == 1; }));
  EXPECT_TRUE(cmdb_->Cancel(id));
  EXPECT_EQ(Get()->value, "1");
  EXPECT_EQ(server_->resets(), 1);
  EXPECT_EQ(server_->connections(), 1);
}

TEST_F(EtcdGrpc, TheMemberThatWorksIsKept) {
  Serve(kHello, [](uint32_t stream) { return Response(stream) + Range(stream) + Trailers(stream, "0"); });
  FakeServer deaf(*reactor_, "not HTTP/2 at all, sorry", [](uint32_t) { return ""; });
  for (int i = 0; i < 8; ++i) {
    const std::unique_ptr<Cmdb> cmdb =
        EtcdCmdb::Open(deaf.url() + ",127.0.0.1:" + std::to_string(server_->port()), *reactor_).value();
    for (int j = 0; j < 5; ++j) EXPECT_TRUE(GetNow(*reactor_, *cmdb, "/p/a").ok());
  }
  EXPECT_LE(server_->connections(), 1 + 8);
  EXPECT_LE(deaf.connections(), 8);
}

}  // namespace
}  // namespace fastcontainer::etcd
