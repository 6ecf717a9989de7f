package config

import (
	"reflect"
	"slices"
)

// Changed lists the keys whose values differ between two settings, as a file has them: "limits.max_connections".
func Changed(a, b *Settings) []string {
	keys := changed("", reflect.ValueOf(*a), reflect.ValueOf(*b))
	slices.Sort(keys)
	return keys
}

func changed(prefix string, a, b reflect.Value) []string {
	var keys []string
	for i := range a.NumField() {
		key := prefix + a.Type().Field(i).Tag.Get("toml")
		if a.Type().Field(i).Anonymous {
			keys = append(keys, changed(prefix, a.Field(i), b.Field(i))...)
		} else if a.Field(i).Kind() == reflect.Struct {
			keys = append(keys, changed(key+".", a.Field(i), b.Field(i))...)
		} else if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			keys = append(keys, key)
		}
	}
	return keys
}
