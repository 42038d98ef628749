#include "route/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <cstring>

#include "base/limits.h"
#include "proto/base64.h"

namespace rejoin::route {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kIdBytes = 4, kNonceBytes = 12, kTagBytes = 16;
constexpr std::size_t kIdAt = 1, kNonceAt = kIdAt + kIdBytes, kTextAt = kNonceAt + kNonceBytes;
static_assert(kTextAt + kTagBytes == Seal::kOverheadBytes);
/// Where in the text characters stand that are the nonce's alone (the first begins in its first byte).
constexpr std::size_t kNonceTextAt = (kNonceAt * 4 + 2) / 3 + 1, kPlaceBytes = 8;
constexpr std::size_t kSealedBytesMax = limits::kSealedPlainBytesMax + Seal::kOverheadBytes;

/// The word's own zero byte ends it, so that no purpose and bound run together into another pair.
constexpr std::string_view word(Purpose purpose) {
  using namespace std::string_view_literals;
  return purpose == Purpose::cookie ? "cookie\0"sv : "ticket\0"sv;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

unsigned char* bytes(char* at) { return reinterpret_cast<unsigned char*>(at); }
const unsigned char* bytes(const char* at) { return reinterpret_cast<const unsigned char*>(at); }

/// None of the calls that this stands before can fail with arguments of ours; going on if one did would send
/// out a text that is not sealed.
void must(int answer) {
  if (answer != 1) std::abort();
}

enum class Direction : int { open = 0, seal = 1 };

Context make_context(const EVP_CIPHER* cipher, const Key& key, Direction direction) {
  Context context(EVP_CIPHER_CTX_new());
  if (!context) std::abort();
  must(EVP_CipherInit_ex(context.get(), cipher, nullptr, key.bytes().data(), nullptr,
                         static_cast<int>(direction)));
  return context;
}

/// Begins one text: the key stays scheduled, only the nonce is new, which is what makes a kept context cheap.
void begin(EVP_CIPHER_CTX* context, const char* sealed, Purpose purpose, std::string_view bound) {
  must(EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, bytes(sealed + kNonceAt), -1));
  // Version and key id are the first bytes of the text itself, bound as they stand there.
  char head[kNonceAt + 16];
  const std::string_view purpose_word = word(purpose);
  std::memcpy(head, sealed, kNonceAt);
  std::memcpy(head + kNonceAt, purpose_word.data(), purpose_word.size());
  int ignored = 0;
  must(EVP_CipherUpdate(context, nullptr, &ignored, bytes(head),
                        static_cast<int>(kNonceAt + purpose_word.size())));
  if (bound.empty()) return;
  must(EVP_CipherUpdate(context, nullptr, &ignored, bytes(bound.data()), static_cast<int>(bound.size())));
}

}  // namespace

struct Seal::Slot {
  KeyId id;
  Context sealing;  // of the first key only
  Context opening;
};

std::string_view to_string(Opened opened) {
  switch (opened) {
    case Opened::ok: return "ok";
    case Opened::malformed: return "malformed";
    case Opened::unknown_key: return "unknown_key";
    case Opened::forged: return "forged";
  }
  return "?";
}

Seal::Seal(const KeyRing& ring, Random& random, std::uint64_t new_key_after)
    : random_(random), new_key_after_(new_key_after) {
  use(ring);
}

void Seal::use(const KeyRing& ring) {
  const bool same_first = !slots_.empty() && slots_.front().id == ring.keys().front().id();
  if (!same_first) seals_ = 0;
  slots_.clear();
  remembered_.clear();
  open_also(ring);
  ring_keys_ = slots_.size();
}

void Seal::open_also(const KeyRing& ring) {
  EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  if (cipher == nullptr) std::abort();
  for (const Key& key : ring.keys()) {
    if (slot_of(reinterpret_cast<const char*>(key.id().data())) != nullptr) continue;
    Slot slot{key.id(), nullptr, make_context(cipher, key, Direction::open)};
    if (slots_.empty()) slot.sealing = make_context(cipher, key, Direction::seal);
    slots_.push_back(std::move(slot));
  }
  EVP_CIPHER_free(cipher);  // the contexts hold it
}

Seal::~Seal() = default;

bool Seal::is_of_older_key(std::string_view text) const {
  if (ring_keys_ < 2) return false;
  constexpr std::size_t kIdTextEnd = (kNonceAt + 2) / 3 * 4;  // whole groups that have version and key id
  char begin[kIdTextEnd + 4];                                 // what base64_decode_to asks for at most
  const Bytes whole = text.substr(0, kIdTextEnd);
  const auto decoded = proto::base64_decode_to(MutableBytes(begin, sizeof begin), whole, proto::Base64::url);
  if (!decoded || *decoded < kNonceAt) return false;
  const Slot* slot = slot_of(begin + kIdAt);
  // One that came with open_also() is newer: its ring is about to be ours.
  return slot != nullptr && slot != slots_.data() && slot < slots_.data() + ring_keys_;
}

const Seal::Slot* Seal::slot_of(const char* key_id) const {
  for (const Slot& slot : slots_) {
    if (std::memcmp(slot.id.data(), key_id, kIdBytes) == 0) return &slot;
  }
  return nullptr;
}

void Seal::seal(Purpose purpose, std::string_view bound, std::string_view plaintext, std::string& out) {
  if (plaintext.size() > limits::kSealedPlainBytesMax)
    std::abort();  // ours, and it would run over the buffer below
  char sealed[kSealedBytesMax];
  sealed[0] = kVersion;
  std::memcpy(sealed + kIdAt, slots_.front().id.data(), kIdBytes);
  random_.fill(MutableBytes(sealed + kNonceAt, kNonceBytes));

  EVP_CIPHER_CTX* context = slots_.front().sealing.get();
  begin(context, sealed, purpose, bound);
  int length = 0, rest = 0;
  must(EVP_EncryptUpdate(context, bytes(sealed + kTextAt), &length, bytes(plaintext.data()),
                         static_cast<int>(plaintext.size())));
  must(EVP_EncryptFinal_ex(context, bytes(sealed + kTextAt + length), &rest));
  char* tag = sealed + kTextAt + plaintext.size();
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kTagBytes, tag));
  ++seals_;

  const std::size_t sealed_bytes = plaintext.size() + kOverheadBytes;
  const std::size_t old_size = out.size();
  out.resize(old_size + text_bytes(plaintext.size()));
  proto::base64_encode_to(out.data() + old_size, Bytes(sealed, sealed_bytes), proto::Base64::url);
}

Opened Seal::open(Purpose purpose, std::string_view bound, std::string_view text, std::string& plaintext) {
  if (text.size() < kNonceTextAt + kPlaceBytes) return open_anew(purpose, bound, text, plaintext);
  if (remembered_.empty()) remembered_.resize(kRememberedMax);
  Remembered& known = place_of(text);
  if (known.purpose == purpose && known.bound == bound && equal_in_constant_time(known.text, text)) {
    plaintext = known.plaintext;
    return Opened::ok;
  }
  const Opened opened = open_anew(purpose, bound, text, plaintext);
  if (opened == Opened::ok) {
    known.purpose = purpose;
    known.bound = bound;
    known.text = text;
    known.plaintext = plaintext;
  }
  return opened;
}

// The nonce is random in what we sealed. Who chooses one takes a place from somebody, who is opened anew
// then.
Seal::Remembered& Seal::place_of(std::string_view text) {
  std::uint64_t nonce = 0;
  for (std::size_t i = 0; i < kPlaceBytes; ++i)
    nonce = nonce * 67 + static_cast<unsigned char>(text[kNonceTextAt + i]);
  return remembered_[nonce % kRememberedMax];
}

Opened Seal::open_anew(Purpose purpose, std::string_view bound, std::string_view text,
                       std::string& plaintext) {
  plaintext.clear();
  if (text.size() < text_bytes(0) || text.size() > text_bytes(limits::kSealedPlainBytesMax))
    return Opened::malformed;
  char sealed[kSealedBytesMax + 4];  // what base64_decode_to asks for at most
  const auto decoded = proto::base64_decode_to(MutableBytes(sealed, sizeof sealed), text, proto::Base64::url);
  if (!decoded || *decoded < kOverheadBytes || sealed[0] != kVersion) return Opened::malformed;
  const Slot* slot = slot_of(sealed + kIdAt);
  if (slot == nullptr) return Opened::unknown_key;

  EVP_CIPHER_CTX* context = slot->opening.get();
  begin(context, sealed, purpose, bound);
  const std::size_t plain_bytes = *decoded - kOverheadBytes;
  char opened[limits::kSealedPlainBytesMax + 16];
  int length = 0, rest = 0;
  must(EVP_DecryptUpdate(context, bytes(opened), &length, bytes(sealed + kTextAt),
                         static_cast<int>(plain_bytes)));
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kTagBytes, sealed + kTextAt + plain_bytes));
  // The one answer that may be no: the tag. Until it is yes, `opened` is nothing.
  if (EVP_DecryptFinal_ex(context, bytes(opened + length), &rest) != 1) return Opened::forged;
  plaintext.assign(opened, plain_bytes);
  return Opened::ok;
}

}  // namespace rejoin::route
