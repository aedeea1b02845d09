package phone

import (
	"strings"
	"testing"
)

func TestPhone(t *testing.T) {
	tests := []struct{ in, region, want string }{
		{"(202) 555-0123", "US", "+12025550123"},
		{"1 202 555 0123", "US", "+12025550123"},
		{"+44 (0)20 7946 0123", "US", "+442079460123"},
		{"020 7946 0123", "GB", "+442079460123"},
		{"0044 20 7946 0123", "US", "+442079460123"},
		{"011 44 20 7946 0123", "US", "+442079460123"},
		{"202-555-0123 ext. 9", "US", "+12025550123"},
		{"202-555-0123x9", "US", "+12025550123"},
		{"202-555-0123 or 202-555-0124", "US", "+12025550123"},
		{"202-555-0123, 202-555-0124", "US", "+12025550123"},
		{"home: n/a; 202-555-0124", "US", "+12025550124"},
		{"+12025550123 ::: +12025550124", "US", "+12025550123"},
		{"030/901820-12", "DE", "+493090182012"},
		{"'+12025550123", "US", "+12025550123"},
		{"2025550123.0", "US", "+12025550123"},
		{"tel:+1-202-555-0123", "US", "+12025550123"},
		{"２０２５５５０１２３", "US", "+12025550123"},
	}
	for _, tt := range tests {
		if got, err := E164(tt.in, tt.region); err != nil || got != tt.want {
			t.Errorf("%q: got %q, %v, want %s", tt.in, got, err, tt.want)
		}
	}
}

func TestPhoneSaysWhatIsWrong(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "there is no phone number",
		"none":                     "is not a phone number",
		"12345":                    "has too few digits for a phone number of US",
		"+12":                      "is not a phone number",
		"202555012345":             "has too many digits for a phone number of US",
		"555-0123":                 "lacks the area code",
		"0000000000":               "cannot exist",
		"123-456-7890":             "cannot exist",
		"2.03E+09":                 "rounded",
		"+999 1234567":             "of no country",
		strings.Repeat("1", 300):   "is not a phone number",
		strings.Repeat("1,", 5000): "phone number",
	} {
		got, err := E164(in, "US")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %q, %v, want an error with %q", in, got, err, want)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("%.20q: the reason has %d bytes", in, len(err.Error()))
		}
	}
}

func TestPhoneWithCode(t *testing.T) {
	for _, tt := range []struct{ code, number, want string }{
		{"1", "2025550123", "+12025550123"},
		{"44", "2079460123", "+442079460123"},
		{"+44", "02079460123", "+442079460123"},
		{"0044", "02079460123", "+442079460123"},
		{"44", "+12025550123", "+12025550123"},
		{"", "2025550123", "+12025550123"},
		{"x1", "2025550123", "+12025550123"},
		{"999", "2025550123", "+12025550123"},
	} {
		if got, err := WithCode(tt.code, tt.number, "US"); err != nil || got != tt.want {
			t.Errorf("%q %q: got %q, %v, want %s", tt.code, tt.number, got, err, tt.want)
		}
	}
}
