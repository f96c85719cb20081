// The driver against real servers, and what only a distributed store can do to it.
#include "lib/cmdb/etcd/etcd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/cmdb/etcd/etcd_server.h"

namespace fastcontainer::etcd {
namespace {

using ::testing::ElementsAre;

class Etcd : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Cluster::Installed()) GTEST_SKIP() << "etcd is not installed";
    reactor_ = EpollReactor::Create().value();
  }
  void StartCluster(int members) {
    cluster_ = std::make_unique<Cluster>(members);
    cmdb_ = Open(cluster_->url());
    ASSERT_TRUE(AwaitStore(*reactor_, *cmdb_));
  }
  std::unique_ptr<Cmdb> Open(const std::string& url) { return EtcdCmdb::Open(url, *reactor_).value(); }
  TxnResult Txn(std::vector<Compare> compares, std::vector<Mutation> mutations) {
    return TxnNow(*reactor_, *cmdb_, std::move(compares), std::move(mutations));
  }

  std::unique_ptr<EpollReactor> reactor_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Cmdb> cmdb_;
};

TEST_F(Etcd, ReadsWhatItWroteAndWatchesIt) {
  StartCluster(1);
  EventLog log;
  const TxnResult put = Txn({{"/a", 0}}, {Put("/a", "1")});
  ASSERT_EQ(put.outcome, TxnOutcome::kOk) << put.error;
  EXPECT_EQ(GetNow(*reactor_, *cmdb_, "/a")->value, "1");
  cmdb_->Watch("/", 0, log.Callback());
  const TxnResult lost = Txn({{"/b", 0}, {"/a", 0}}, {Put("/a", "2")});
  ASSERT_EQ(lost.outcome, TxnOutcome::kConflict) << lost.error;
  ASSERT_EQ(lost.current.size(), 2u);
  EXPECT_EQ(lost.current[0].revision, 0u);
  EXPECT_EQ(lost.current[1].revision, put.revision);
  Txn({}, {Delete("/a"), Put("/b", "2")});
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return log.size() >= 3; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@2", "-/a@3", "+/b=2@3"));
  const absl::StatusOr<ListPage> list = ListNow(*reactor_, *cmdb_, "/");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->records.size(), 1u);
}

}  // namespace
}  // namespace fastcontainer::etcd
