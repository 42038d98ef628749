#include "proto/base64.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace rejoin::proto {
namespace {

constexpr Base64 kForms[] = {Base64::standard, Base64::standard_unpadded, Base64::url, Base64::url_padded};

TEST(Base64, VectorsOfRfc4648) {
  const struct {
    const char *bytes, *padded, *unpadded;
  } vectors[] = {{"", "", ""},
                 {"f", "Zg==", "Zg"},
                 {"fo", "Zm8=", "Zm8"},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg==", "Zm9vYg"},
                 {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                 {"foobar", "Zm9vYmFy", "Zm9vYmFy"}};
  for (const auto& v : vectors) {
    EXPECT_EQ(base64_encode(v.bytes, Base64::standard), v.padded);
    EXPECT_EQ(base64_encode(v.bytes, Base64::url_padded), v.padded);
    EXPECT_EQ(base64_encode(v.bytes, Base64::standard_unpadded), v.unpadded);
    EXPECT_EQ(base64_encode(v.bytes, Base64::url), v.unpadded);
  }
  EXPECT_EQ(base64_encode("\xfb\xff\xfe", Base64::standard), "+//+");
  EXPECT_EQ(base64_encode("\xfb\xff\xfe", Base64::url), "-__-");
}

TEST(Base64, RoundTripOfEveryLengthAndForm) {
  SeededRandom random(1);
  for (std::size_t size = 0; size < 100; ++size) {
    std::string bytes(size, '\0');
    random.fill(bytes);
    for (const Base64 form : kForms) {
      const std::string text = base64_encode(bytes, form);
      EXPECT_EQ(text.size(), base64_size(size, form));
      EXPECT_EQ(base64_decode(text, form), bytes);
      std::string exact(size, '\0');
      EXPECT_EQ(base64_decode_to(exact, text, form), size);
      if (size != 0) {
        EXPECT_EQ(base64_decode_to(MutableBytes(exact).first(size - 1), text, form), std::nullopt);
      }
    }
  }
}

TEST(Base64, RefusesAllButTheOneTextOfSomeBytes) {
  const struct {
    const char* text;
    Base64 form;
  } wrong[] = {
      {"Zg", Base64::standard},      {"Zg=", Base64::standard},
      {"Zg===", Base64::standard},   {"Zh==", Base64::standard},
      {"Zm9=", Base64::standard},    {"=", Base64::standard},
      {"==", Base64::standard},      {"====", Base64::standard},
      {"Z===", Base64::standard},    {"Zg==Zg==", Base64::standard},
      {"Zm9v\n", Base64::standard},  {" Zm9v", Base64::standard},
      {"Zm-_", Base64::standard},    {"Zm+/", Base64::url},
      {"Zg==", Base64::url},         {"Zh", Base64::url},
      {"Zm9", Base64::url},          {"Z", Base64::url},
      {"Zm9vZ", Base64::url},        {"Zm9v\x80", Base64::url},
      {"Zg", Base64::url_padded},    {"Zg==", Base64::standard_unpadded},
      {"Zm9vYmE", Base64::standard}, {"Z=g=", Base64::standard},
  };
  for (const auto& w : wrong) EXPECT_EQ(base64_decode(w.text, w.form), std::nullopt) << w.text;
}

TEST(Base64, EveryByteThatIsNotOfTheAlphabetIsRefusedAtEveryPlace) {
  for (const Base64 form : kForms) {
    for (int byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      const bool alphabet =
          std::isalnum(byte) != 0 ||
          std::string_view(form == Base64::url || form == Base64::url_padded ? "-_" : "+/").find(c) !=
              std::string_view::npos;
      for (std::size_t place = 0; place < 8; ++place) {
        if (c == '=' && place == 7) continue;
        std::string text = "AAAAAAAA";
        text[place] = c;
        EXPECT_EQ(base64_decode(text, form).has_value(), alphabet) << byte << " at " << place;
      }
    }
  }
}

}  // namespace
}  // namespace rejoin::proto
