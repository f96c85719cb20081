// One server for all tests of a program, and a schema for each.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_POSTGRESQL_POSTGRES_FIXTURE_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_POSTGRESQL_POSTGRES_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/cmdb/postgresql/postgres.h"
#include "tests/unit/cmdb/postgresql/postgres_server.h"

namespace fastcontainer::postgresql {

class PostgresTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new Server;
    created_ = new absl::Status(server_->Create());
  }
  static void TearDownTestSuite() {
    delete std::exchange(server_, nullptr);
    delete std::exchange(created_, nullptr);
  }
  void SetUp() override {
    if (absl::IsNotFound(*created_)) GTEST_SKIP() << "cannot run here: " << created_->message();
    ASSERT_TRUE(created_->ok()) << *created_;
    schema_ = "test_" + std::to_string(++schemas_);
    cmdb_ = Open();
    ASSERT_TRUE(Get("/").ok()) << Get("/").status();
  }

  std::unique_ptr<Cmdb> Open(const std::string& user = "admin") {
    return PostgresCmdb::Open(server_->Url("schema=" + schema_, user), *reactor_).value();
  }
  absl::StatusOr<Record> Get(std::string_view key) { return GetNow(*reactor_, *cmdb_, key); }
  TxnResult Txn(std::vector<Compare> compares, std::vector<Mutation> mutations) {
    return TxnNow(*reactor_, *cmdb_, std::move(compares), std::move(mutations));
  }
  template <typename Predicate>
  bool Await(Predicate done) {
    return RunLoop(*reactor_, done);
  }
  // Asks until the answer is `wanted`; what it was at last.
  std::string AwaitSql(const std::string& sql, const std::string& wanted) {
    const Nanos end = reactor_->Now() + kPatience;
    std::string answer;
    do {
      reactor_->Process(0);
      answer = Sql(sql);
    } while (answer != wanted && reactor_->Now() < end);
    return answer;
  }
  // $S is the schema of this test.
  std::string Sql(std::string sql) const {
    for (size_t at = sql.find("$S"); at != std::string::npos; at = sql.find("$S"))
      sql.replace(at, 2, schema_);
    return server_->Sql(sql);
  }
  static Server& server() { return *server_; }

  const std::unique_ptr<EpollReactor> reactor_ = EpollReactor::Create().value();
  std::string schema_;
  std::unique_ptr<Cmdb> cmdb_;

 private:
  static inline Server* server_ = nullptr;
  static inline absl::Status* created_ = nullptr;
  static inline int schemas_ = 0;
};

// A session of its own that keeps every writer of a schema waiting.
class HeldTurn {
 public:
  HeldTurn(const Server& server, const std::string& schema)
      : connection_(PQconnectdb(server.Url("").c_str()), &PQfinish) {
    const std::string sql = "BEGIN; SELECT " + schema + ".take_turn();";
    PQclear(PQexec(connection_.get(), sql.c_str()));
  }
  void Release() { connection_.reset(); }

 private:
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

}  // namespace fastcontainer::postgresql

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_POSTGRESQL_POSTGRES_FIXTURE_H_
