// One run of a prepared statement; it is reset when this goes out of scope.
#ifndef FASTCONTAINER_LIB_CMDB_SQLITE_QUERY_H_
#define FASTCONTAINER_LIB_CMDB_SQLITE_QUERY_H_

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/cmdb/sqlite_database.h"

namespace fastcontainer {

// Bound texts must live as long as the query.
class SqliteDatabase::Query {
 public:
  Query(SqliteDatabase& database, const char* sql) {
    sqlite3_stmt*& slot = database.statements_[sql];
    if (slot == nullptr)
      code_ = sqlite3_prepare_v3(database.db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &slot, nullptr);
    statement_ = slot;
  }
  ~Query() {
    if (statement_ == nullptr) return;
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& Text(int index, std::string_view text) {
    // A null pointer would bind NULL.
    if (code_ == SQLITE_OK)
      code_ = sqlite3_bind_text64(statement_, index, text.empty() ? "" : text.data(), text.size(),
                                  SQLITE_STATIC, SQLITE_UTF8);
    return *this;
  }
  Query& Number(int index, uint64_t number) {
    if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, index, static_cast<sqlite3_int64>(number));
    return *this;
  }
  // True: there is a row. False: the end, or an error; see ok().
  bool Row() {
    if (code_ != SQLITE_OK && code_ != SQLITE_ROW) return false;
    code_ = sqlite3_step(statement_);
    return code_ == SQLITE_ROW;
  }
  // Runs a statement that gives no rows.
  bool Run() {
    while (Row()) {
    }
    return ok();
  }
  bool ok() const { return code_ == SQLITE_OK || code_ == SQLITE_ROW || code_ == SQLITE_DONE; }
  int code() const { return code_; }

  uint64_t Number(int column) const {
    return static_cast<uint64_t>(sqlite3_column_int64(statement_, column));
  }
  std::string Text(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    const int size = sqlite3_column_bytes(statement_, column);
    return data == nullptr ? std::string() : std::string(data, static_cast<size_t>(size));
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int code_ = SQLITE_OK;
};

// All reads inside see one state of the file.
class SqliteDatabase::Snapshot {
 public:
  explicit Snapshot(SqliteDatabase& database) : database_(database), status_(database.Execute("BEGIN")) {}
  ~Snapshot() {
    if (status_.ok()) database_.Execute("COMMIT").IgnoreError();
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  const absl::Status& status() const { return status_; }

 private:
  SqliteDatabase& database_;
  const absl::Status status_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_SQLITE_QUERY_H_
