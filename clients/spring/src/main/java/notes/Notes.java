package notes;

import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.http.HttpMethod;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.core.OAuth2AuthenticatedPrincipal;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.*;

/** An API as Spring Security's own guide to opaque tokens has it: it knows introspection, and nothing of Doorward. */
@SpringBootApplication
@RestController
class Notes {
    @Bean
    SecurityFilterChain security(HttpSecurity http) throws Exception {
        return http
            .csrf(csrf -> csrf.disable())
            .authorizeHttpRequests(requests -> requests
                .requestMatchers(HttpMethod.POST, "/notes").hasAuthority("SCOPE_notes:write")
                .requestMatchers(HttpMethod.GET, "/notes").hasAuthority("SCOPE_notes:read")
                .anyRequest().denyAll())
            .oauth2ResourceServer(server -> server.opaqueToken(Customizer.withDefaults()))
            .build();
    }

    /** All that Spring learnt about the caller. */
    @GetMapping("/notes")
    Map<String, Object> read(@AuthenticationPrincipal OAuth2AuthenticatedPrincipal caller) {
        return caller.getAttributes();
    }

    @PostMapping("/notes")
    String write(@AuthenticationPrincipal OAuth2AuthenticatedPrincipal caller) {
        return caller.getName();
    }

    public static void main(String[] arguments) {
        SpringApplication.run(Notes.class, arguments);
    }
}
